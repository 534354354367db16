"""Python over timestamps, read by pyasn1 and verified by `cryptography`: stamps.py DIRECTORY with NAME.tsq and NAME.tsr.

Prints how many were judged; anything wrong is an exception.
"""
import glob, hashlib, sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from pyasn1.codec.der.decoder import decode
from pyasn1.codec.der.encoder import encode
from pyasn1.type import univ
from pyasn1_alt_modules import rfc3161, rfc5035, rfc5652

HASHES = {"2.16.840.1.101.3.4.2.1": "sha256", "2.16.840.1.101.3.4.2.2": "sha384", "2.16.840.1.101.3.4.2.3": "sha512"}
CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4", "1.2.840.113549.1.9.16.2.47"


def whole(der, spec, again=True):
    value, rest = decode(der, asn1Spec=spec)
    assert not rest and (not again or encode(value) == der), "it is not DER"
    return value


def judge(query, reply):
    asked = whole(query, rfc3161.TimeStampReq())
    answer = whole(reply, rfc3161.TimeStampResp())
    assert answer["status"]["status"] == 0
    signed = whole(bytes(answer["timeStampToken"]["content"]), rfc5652.SignedData())
    assert str(signed["encapContentInfo"]["eContentType"]) == "1.2.840.113549.1.9.16.1.4" and signed["version"] == 3
    content = bytes(signed["encapContentInfo"]["eContent"])
    # pyasn1 writes a fraction of a second that begins with a zero without it, so what it reads it does not write again.
    info = whole(content, rfc3161.TSTInfo(), again=False)
    assert bytes(info["messageImprint"]["hashedMessage"]) == bytes(asked["messageImprint"]["hashedMessage"])
    assert str(info["messageImprint"]["hashAlgorithm"]["algorithm"]) == str(asked["messageImprint"]["hashAlgorithm"]["algorithm"]) and str(asked["messageImprint"]["hashAlgorithm"]["algorithm"]) in HASHES
    assert asked["nonce"].hasValue() == info["nonce"].hasValue() and (not asked["nonce"].hasValue() or asked["nonce"] == info["nonce"])
    (signer,) = signed["signerInfos"]
    certificates = [x509.load_der_x509_certificate(encode(one["certificate"])) for one in signed["certificates"]]
    (certificate,) = [one for one in certificates if one.serial_number == int(signer["sid"]["issuerAndSerialNumber"]["serialNumber"])]
    attributes = {str(one["attrType"]): one["attrValues"] for one in signer["signedAttrs"]}
    assert encode(attributes[CONTENT_TYPE][0]) == encode(univ.ObjectIdentifier("1.2.840.113549.1.9.16.1.4"))
    assert bytes(decode(bytes(attributes[MESSAGE_DIGEST][0]))[0]) == hashlib.sha256(content).digest()
    named = whole(bytes(attributes[SIGNING_CERTIFICATE_V2][0]), rfc5035.SigningCertificateV2())
    assert bytes(named["certs"][0]["certHash"]) == certificate.fingerprint(hashes.SHA256())
    as_set = signer["signedAttrs"].clone(tagSet=univ.SetOf.tagSet, cloneValueFlag=True)
    certificate.public_key().verify(bytes(signer["signature"]), encode(as_set), ec.ECDSA(hashes.SHA256()))
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert usage.critical and [one.dotted_string for one in usage.value] == ["1.3.6.1.5.5.7.3.8"]
    period = certificate.extensions.get_extension_for_class(x509.PrivateKeyUsagePeriod).value
    made = info["genTime"].asDateTime.replace(tzinfo=None)
    assert period.not_before.replace(tzinfo=None) <= made <= period.not_after.replace(tzinfo=None) < certificate.not_valid_after_utc.replace(tzinfo=None)
    return int(info["serialNumber"]), made


found = [judge(open(query, "rb").read(), open(query[:-1] + "r", "rb").read()) for query in sorted(glob.glob(sys.argv[1] + "/*.tsq"))]
assert len({serial for serial, _ in found}) == len(found)
assert [made for _, made in found] == sorted({made for _, made in found}), "the times do not rise"
print(f"{len(found)} timestamps")

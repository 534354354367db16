"""pyHanko and asn1crypto over CAdES, in both directions.

cades.py verify ROOT DOCUMENT SIGNATURE SECONDS [CRL...]   all DER; prints what was judged, anything wrong is an exception
cades.py judge ROOT DOCUMENT SECONDS SIGNATURE... [+ CRL...]   one line each: the file, `yes` or `no`, and what was seen or the reason
cades.py file DOCUMENT KEY CERTIFICATE ISSUER SECONDS OUT   level B-B with the issuer beside it
cades.py sign DOCUMENT KEY CERTIFICATE TSA-KEY TSA-CERTIFICATE SECONDS OUT   levels B-B and B-T: OUT.b and OUT.t; keys PKCS#8
"""
import asyncio, datetime, sys

from asn1crypto import cms, crl, keys, x509
from pyhanko.sign.signers.pdf_cms import PdfCMSSignedAttributes, SimpleSigner
from pyhanko.sign.timestamps import DummyTimeStamper
from pyhanko.sign.validation.generic_cms import async_validate_detached_cms
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore

ARCHIVE, SIGNATURE = "0.4.0.1733.2.4", "signature_time_stamp_token"


def read(path):
    with open(path, "rb") as file:
        return file.read()


def moment(seconds):
    return datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc)


def context(root, signed, at, lists):
    inside = [one.chosen for one in signed["certificates"]] if isinstance(signed["certificates"], cms.CertificateSet) else []
    return ValidationContext(
        trust_roots=[x509.Certificate.load(root)], other_certs=inside, moment=moment(at), allow_fetching=False,
        crls=[crl.CertificateList.load(one) for one in lists], revocation_mode="require" if lists else "soft-fail", time_tolerance=datetime.timedelta(days=2),
    )


async def verify(root, document, der, at, lists):
    signed = cms.ContentInfo.load(der, strict=True)["content"]
    # Of the whole asn1crypto would write each part anew for each of its frames: hours for a timestamp in a timestamp.
    attributes = signed["signer_infos"][0]["signed_attrs"]
    assert attributes.dump(force=True) == attributes.dump(), "asn1crypto writes the signed attributes otherwise: they are not DER"
    usage = KeyUsageConstraints(key_usage={"digital_signature", "non_repudiation"}, match_all_key_usages=False)
    status = await async_validate_detached_cms(
        document, signed, signer_validation_context=context(root, signed, at, lists), ts_validation_context=context(root, signed, at, lists), key_usage_settings=usage)
    assert status.intact and status.valid, "the signature"
    assert status.trusted, f"the path: {status.trust_problem_indic}"
    unsigned = signed["signer_infos"][0]["unsigned_attrs"]
    stamps = archived = 0
    for one in unsigned if isinstance(unsigned, cms.CMSAttributes) else []:
        if one["type"].native == SIGNATURE:
            assert status.timestamp_validity.valid and status.timestamp_validity.trusted, "the timestamp"
            stamps += 1
        elif one["type"].dotted == ARCHIVE:
            archived += 1
    return f"intact valid trusted stamps={stamps} archived={archived}"


async def sign(document, key, certificate, tsa_key, tsa_certificate, at, out):
    certificate, tsa_certificate = x509.Certificate.load(certificate), x509.Certificate.load(tsa_certificate)
    store = SimpleCertificateStore.from_certs([certificate])
    signer = SimpleSigner(signing_cert=certificate, signing_key=keys.PrivateKeyInfo.load(key), cert_registry=store)
    stamper = DummyTimeStamper(tsa_cert=tsa_certificate, tsa_key=keys.PrivateKeyInfo.load(tsa_key), certs_to_embed=SimpleCertificateStore.from_certs([tsa_certificate]), fixed_dt=moment(at))
    said = PdfCMSSignedAttributes(signing_time=moment(at))
    for name, timestamper in (("b", None), ("t", stamper)):
        made = await signer.async_sign_general_data(document, "sha256", detached=True, use_cades=True, timestamper=timestamper, signed_attr_settings=said)
        with open(f"{out}.{name}", "wb") as file:
            file.write(made.dump())


async def file(document, key, certificate, issuer, at, out):
    certificate = x509.Certificate.load(certificate)
    store = SimpleCertificateStore.from_certs([certificate, x509.Certificate.load(issuer)])
    signer = SimpleSigner(signing_cert=certificate, signing_key=keys.PrivateKeyInfo.load(key), cert_registry=store)
    made = await signer.async_sign_general_data(document, "sha256", detached=True, use_cades=True, signed_attr_settings=PdfCMSSignedAttributes(signing_time=moment(at)))
    with open(out, "wb") as target:
        target.write(made.dump())


def main(mode, *arguments):
    if mode == "verify":
        root, document, der, at, *lists = arguments
        print(asyncio.run(verify(read(root), read(document), read(der), at, [read(one) for one in lists])))
    elif mode == "judge":
        root, document, at, *signatures = arguments
        signatures, _, lists = (" ".join(signatures)).partition(" + ")
        for path in signatures.split():
            try:
                print(path, "yes", asyncio.run(verify(read(root), read(document), read(path), at, [read(one) for one in lists.split()])))
            except Exception as error:
                print(path, "no", type(error).__name__, " ".join(str(error).split()))
    elif mode == "file":
        document, key, certificate, issuer, at, out = arguments
        asyncio.run(file(read(document), read(key), read(certificate), read(issuer), at, out))
    else:
        document, key, certificate, tsa_key, tsa_certificate, at, out = arguments
        asyncio.run(sign(read(document), read(key), read(certificate), read(tsa_key), read(tsa_certificate), at, out))


main(*sys.argv[1:])

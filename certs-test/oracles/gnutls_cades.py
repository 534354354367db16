"""CAdES by GnuTLS's own library: `certtool` alone has no option for the attribute that names the signer's certificate.

gnutls_cades.py DOCUMENT KEY CERTIFICATE ISSUER OUT   PEM in, DER out
"""
import ctypes, hashlib, sys

from asn1crypto import pem, tsp

PEM, DER, SHA256, TIME, CERTIFICATE = 1, 0, 6, 2, 4
SIGNING_CERTIFICATE_V2 = b"1.2.840.113549.1.9.16.2.47"
gnutls = ctypes.CDLL("libgnutls.so.30")


class Datum(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_uint)]


def datum(octets):
    held = ctypes.create_string_buffer(octets, len(octets))
    made = Datum(ctypes.cast(held, ctypes.c_void_p), len(octets))
    made.held = held
    return made


def call(name, *arguments):
    code = getattr(gnutls, "gnutls_" + name)(*arguments)
    assert code >= 0, f"{name}: {code}"


def made(kind):
    handle = ctypes.c_void_p()
    call(f"{kind}_init", ctypes.byref(handle))
    return handle


def read(path):
    with open(path, "rb") as file:
        return file.read()


def certificate(octets):
    handle = made("x509_crt")
    call("x509_crt_import", handle, ctypes.byref(datum(octets)), PEM)
    return handle


def main(document, key, signer, issuer, out):
    named = tsp.ESSCertIDv2({"cert_hash": hashlib.sha256(pem.unarmor(read(signer))[2]).digest()})
    attribute, attributes = datum(tsp.SigningCertificateV2({"certs": [named]}).dump()), ctypes.c_void_p()
    call("pkcs7_add_attr", ctypes.byref(attributes), SIGNING_CERTIFICATE_V2, ctypes.byref(attribute), 0)
    private, signed = made("privkey"), made("pkcs7")
    call("privkey_import_x509_raw", private, ctypes.byref(datum(read(key))), PEM, None, 0)
    call("pkcs7_sign", signed, certificate(read(signer)), private, ctypes.byref(datum(read(document))), attributes, None, SHA256, TIME | CERTIFICATE)
    call("pkcs7_set_crt", signed, certificate(read(issuer)))
    written = Datum()
    call("pkcs7_export2", signed, DER, ctypes.byref(written))
    with open(out, "wb") as file:
        file.write(ctypes.string_at(written.data, written.size))


main(*sys.argv[1:])

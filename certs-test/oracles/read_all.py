"""Python's `cryptography` over an authority: every certificate, list and OCSP answer, read and verified. Usage: read_all.py DIRECTORY"""
import datetime, pathlib, sys

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp

place = pathlib.Path(sys.argv[1])
load = lambda file: x509.load_der_x509_certificate(file.read_bytes())
root = load(place / "root.der")
issuers = {"root": root} | {file.stem: load(file) for file in place.glob("issuers/*.der")}
by_name = {issuer.subject.public_bytes(): (name, issuer) for name, issuer in issuers.items()}
lists = {}
now = datetime.datetime.now(datetime.timezone.utc)

for file in place.glob("lists/*.crl"):
    crl = x509.load_der_x509_crl(file.read_bytes())
    issuer = issuers[file.stem]
    assert crl.is_signature_valid(issuer.public_key()) and crl.issuer == issuer.subject, file
    assert crl.last_update_utc <= now < crl.next_update_utc and crl.extensions is not None, file
    lists[file.stem] = {one.serial_number for one in crl}

certificates = sorted(place.glob("certificates/*.der"))
for file in certificates:
    one = load(file)
    name, issuer = by_name[one.issuer.public_bytes()]
    one.verify_directly_issued_by(issuer)
    assert len(list(one.extensions)) >= 3 and one.not_valid_before_utc <= now < one.not_valid_after_utc, file
    assert (one.serial_number in lists[name]) == file.stem.startswith("revoked-"), file

answers = sorted(place.glob("answers/*.der"))
for file in answers:
    issuer, serial, status, nonce, digest = file.with_suffix(".expected").read_text().split()
    read = ocsp.load_der_ocsp_response(file.read_bytes())
    assert read.response_status == ocsp.OCSPResponseStatus.SUCCESSFUL, file
    (signer,) = read.certificates
    signer.verify_directly_issued_by(issuers[issuer])
    signer.public_key().verify(read.signature, read.tbs_response_bytes, ec.ECDSA(read.signature_hash_algorithm))
    assert read.certificate_status.name.lower() == status and read.serial_number == int(serial, 16), file
    assert read.hash_algorithm.name == {"1.3.14.3.2.26": "sha1", "2.16.840.1.101.3.4.2.1": "sha256"}[digest], file
    assert any(isinstance(one.value, x509.OCSPNonce) for one in read.extensions) == (nonce == "yes"), file

print(f"{len(certificates)} certificates, {len(lists)} lists, {len(answers)} answers")

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

def of(crl, kind):
    found = [one for one in crl.extensions if isinstance(one.value, kind)]
    assert len(found) < 2
    return found[0] if found else None


def read(file, issuer):
    crl = x509.load_der_x509_crl(file.read_bytes())
    assert crl.is_signature_valid(issuer.public_key()) and crl.issuer == issuer.subject, file
    assert crl.last_update_utc <= now < crl.next_update_utc and of(crl, x509.CRLNumber), file
    return crl


# Whole lists name no part, and all but the root's say where their delta is.
for file in place.glob("lists/*.crl"):
    crl = read(file, issuers[file.stem])
    assert not of(crl, x509.IssuingDistributionPoint) and not of(crl, x509.DeltaCRLIndicator), file
    freshest = of(crl, x509.FreshestCRL)
    assert (freshest is None) == (file.stem == "root"), file
    assert freshest is None or freshest.value[0].full_name[0].value.endswith(f"/crl/{file.stem}-delta.crl"), file
    lists[file.stem] = {one.serial_number for one in crl}

# A part by the address that it and its certificates name.
parts = {}
for file in place.glob("parts/*.crl"):
    name, _, part = file.stem.rpartition(".")
    point = of(read(file, issuers[name]), x509.IssuingDistributionPoint)
    assert point.critical and point.value.only_contains_user_certs and not point.value.indirect_crl, file
    assert point.value.full_name[0].value.endswith(f"/crl/{name}/{part}.crl"), file
    parts[point.value.full_name[0].value] = {one.serial_number for one in x509.load_der_x509_crl(file.read_bytes())}

# A delta to a list that came before it; what it takes off is not on the whole list any more.
deltas = sorted(place.glob("deltas/*.crl"))
removed = 0
for file in deltas:
    crl = read(file, issuers[file.stem])
    base, number = of(crl, x509.DeltaCRLIndicator), of(crl, x509.CRLNumber)
    assert base.critical and base.value.crl_number <= number.value.crl_number and not of(crl, x509.FreshestCRL), file
    said = {one.serial_number: [ext.value.reason for ext in one.extensions if isinstance(ext.value, x509.CRLReason)] for one in crl}
    for serial, reason in said.items():
        assert (reason == [x509.ReasonFlags.remove_from_crl]) == (serial not in lists[file.stem]), file
    removed += sum(reason == [x509.ReasonFlags.remove_from_crl] for reason in said.values())
assert removed == 1

certificates = sorted(place.glob("certificates/*.der"))
for file in certificates:
    one = load(file)
    name, issuer = by_name[one.issuer.public_bytes()]
    one.verify_directly_issued_by(issuer)
    assert len(list(one.extensions)) >= 3 and one.not_valid_before_utc <= now < one.not_valid_after_utc, file
    assert (one.serial_number in lists[name]) == file.stem.startswith("revoked-"), file
    named = of(one, x509.CRLDistributionPoints)
    named = named and named.value[0].full_name[0].value
    assert named is None or named not in parts or (one.serial_number in parts[named]) == file.stem.startswith("revoked-"), file

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

print(f"{len(certificates)} certificates, {len(lists)} lists, {len(parts)} parts, {len(deltas)} deltas, {len(answers)} answers")

"""What pkilint finds in an authority's certificates, lists and answers: one line for each, `FILE SET CODE`. Usage: findings.py DIRECTORY"""
import contextlib, csv, io, pathlib, sys

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from pkilint.bin import lint_cabf_smime_cert, lint_crl, lint_ocsp_response, lint_pkix_cert

place = pathlib.Path(sys.argv[1])
judged = 0


def judge(file, name, program, *arguments):
    global judged
    judged += 1
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = program.main(["lint", *arguments, "-s", "NOTICE", "-f", "CSV", "--document-format", "DER", str(file)])
    said.seek(0)
    rows = [row for row in csv.DictReader(said) if row.get("code")]
    assert bool(rows) == (code != 0), (file, name, said.getvalue())
    for row in rows:
        print(f"{file.relative_to(place)} {name} {row['code']}")


def for_mail(file):
    usage = [one.value for one in x509.load_der_x509_certificate(file.read_bytes()).extensions if isinstance(one.value, x509.ExtendedKeyUsage)]
    return bool(usage) and ExtendedKeyUsageOID.EMAIL_PROTECTION in usage[0], bool(usage) and len(list(usage[0])) == 1


for file in sorted(place.glob("certificates/*.der")):
    judge(file, "pkix", lint_pkix_cert)
    mail, alone = for_mail(file)
    if mail:
        subject = x509.load_der_x509_certificate(file.read_bytes()).subject
        person = bool(subject.get_attributes_for_oid(x509.NameOID.PSEUDONYM))
        judge(file, "smime", lint_cabf_smime_cert, "-t", ("INDIVIDUAL" if person else "ORGANIZATION") + ("-STRICT" if alone else "-MULTIPURPOSE"))
for file in sorted(place.glob("lists/*.crl")) + sorted(place.glob("parts/*.crl")) + sorted(place.glob("deltas/*.crl")):
    judge(file, "pkix", lint_crl, "-t", "ARL" if file.stem == "root" else "CRL", "-p", "PKIX")
for file in sorted(place.glob("answers/*.der")):
    judge(file, "pkix", lint_ocsp_response)
print(judged, "judged", file=sys.stderr)

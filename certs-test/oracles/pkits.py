"""What Python's x509.verification says of NIST's path validation cases: a line for each, its name and `valid` or `invalid`.

It knows no CRLs and no certificate policies. Usage: pkits.py CERTIFICATES-DIRECTORY UNIX-TIME"""
import datetime, pathlib, sys
from cryptography import x509
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

place, at = pathlib.Path(sys.argv[1]), datetime.datetime.fromtimestamp(int(sys.argv[2]), datetime.timezone.utc)


def read(path):
    try:
        certificate = x509.load_der_x509_certificate(path.read_bytes())
        # Extensions are parsed when they are asked for.
        certificate.extensions
        return certificate
    except (ValueError, x509.DuplicateExtension):
        return None


holders = sorted(path for path in place.glob("*.crt") if path.name.endswith("EE.crt"))
others = [certificate for path in place.glob("*.crt") if path not in holders and (certificate := read(path))]
anchor = read(place / "TrustAnchorRootCertificate.crt")
# Holders need no alternative name and no purpose here: these are no servers.
builder = PolicyBuilder().store(Store([anchor])).time(at.replace(tzinfo=None)).extension_policies(
    ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=ExtensionPolicy.permit_all())
for path in holders:
    verdict = "invalid"
    if holder := read(path):
        above, names = [], {holder.issuer}
        # Only those on the way up: it gives up when there are too many.
        for _ in range(8):
            above = [other for other in others if other.subject in names]
            names |= {other.issuer for other in above}
        try:
            builder.build_client_verifier().verify(holder, above)
            verdict = "valid"
        except VerificationError:
            pass
    print(path.name.removesuffix("EE.crt"), verdict)

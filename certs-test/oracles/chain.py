"""Path validation by Python's `cryptography`: chain.py ROOT CHAIN (server NAME | client)."""
import sys

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store


def load(path):
    with open(path, "rb") as file:
        return x509.load_pem_x509_certificates(file.read())


root, chain, kind = sys.argv[1:4]
builder = PolicyBuilder().store(Store(load(root)))
leaf, *rest = load(chain)
if kind == "server":
    found = builder.build_server_verifier(x509.DNSName(sys.argv[4])).verify(leaf, rest)
else:
    found = builder.build_client_verifier().verify(leaf, rest).chain
print(len(found))

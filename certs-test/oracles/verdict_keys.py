"""Keys that mail is signed with, and the records that tell of them: rsa.pem, ed25519.seed, keys.zone. Usage: verdict_keys.py HOME"""
import base64, pathlib, sys
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from nacl.signing import SigningKey

home = pathlib.Path(sys.argv[1])
key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
(home / "rsa.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()))
public = base64.b64encode(key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)).decode()
seed = SigningKey.generate()
(home / "ed25519.seed").write_bytes(base64.b64encode(bytes(seed)))
short = base64.b64encode(bytes(seed.verify_key)).decode()
text = f"v=DKIM1; k=rsa; p={public}"
halves = " ".join(f'"{text[at:at + 200]}"' for at in range(0, len(text), 200))
(home / "keys.zone").write_text(f'r._domainkey TXT {halves}\ne._domainkey TXT "v=DKIM1; k=ed25519; p={short}"\nw._domainkey TXT "v=DKIM1; p="\n')

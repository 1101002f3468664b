"""A signature by PIN and OTP, in Python: python3 sign.py USER FILE SIGNED"""

import base64, hashlib, json, os, pathlib, secrets, sys, urllib.parse, urllib.request

SERVICE, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI = (
    os.environ[name] for name in ("SERVICE", "CLIENT_ID", "CLIENT_SECRET", "REDIRECT_URI")
)
user, file, signed = sys.argv[1:]


def post(path, body, headers={}):
    request = urllib.request.Request(SERVICE + path, data=body, headers=headers)
    with urllib.request.urlopen(request) as response:  # an HTTPError, unless it succeeds
        return json.load(response)


def oauth(path, **fields):
    fields |= {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    return post(f"/oauth2/{path}", urllib.parse.urlencode(fields).encode())


def csc(path, token, params):
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return post(f"/csc/v2/{path}", json.dumps(params).encode(), headers)


token = oauth("token", grant_type="client_credentials")["access_token"]
credential = csc("credentials/list", token, {"userID": user})["credentialIDs"][0]
document = pathlib.Path(file).read_bytes()
upload = {"Authorization": f"Bearer {token}", "Content-Type": "application/pdf"}
hashes = post("/portal/v1/documents?name=order.pdf", document, upload)["hashes"]

verifier = secrets.token_urlsafe(32)
challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
details = {
    "type": "credential",
    "credentialID": credential,
    "documentDigests": [{"hash": hashes["document"], "label": "order.pdf"}],
    "hashAlgorithmOID": hashes["hashAlgorithmOID"],
}
pushed = oauth(
    "pushed_authorize",
    response_type="code",
    redirect_uri=REDIRECT_URI,
    code_challenge=challenge.decode(),
    code_challenge_method="S256",
    description="Sanction order 7",
    authorization_details=json.dumps([details]),
)
query = {"client_id": CLIENT_ID, "request_uri": pushed["request_uri"]}
print(f"{SERVICE}/oauth2/authorize?{urllib.parse.urlencode(query)}", flush=True)
# A portal sends the browser there, and takes `code` from the address to which it comes back.
code = input("code: ")

proof = {"code": code, "redirect_uri": REDIRECT_URI, "code_verifier": verifier}
sad = oauth("token", grant_type="authorization_code", **proof)["access_token"]
to_sign = {"document": base64.b64encode(document).decode(), "signature_format": "P"}
answer = csc("signatures/signDoc", sad, {"credentialID": credential, "documents": [to_sign]})
pathlib.Path(signed).write_bytes(base64.b64decode(answer["DocumentWithSignature"][0]))

"""A small portal in Python: login, a signed bill, an order that two officers sign. Only the standard library and openssl."""

import base64, hashlib, http.cookies, http.server, json, os, pathlib, re, secrets, subprocess, tempfile
import threading, traceback, urllib.error, urllib.parse, urllib.request

PORT = int(os.environ.get("PORT", "3000"))
ORIGIN = os.environ.get("ORIGIN", f"http://localhost:{PORT}")
SECURE = "; Secure" if ORIGIN.startswith("https:") else ""  # of the session's cookie
TRIAL = os.environ.get("TRIAL")
TRUST = os.environ.get("TRUST", "root.pem")
VERIFY_SERVICE = os.environ.get("VERIFY_SERVICE")
# PANs of the officers, in the order in which they sign orders
OFFICERS = os.environ.get("OFFICERS", "AAAPD0001A,AAAPR0002B").split(",")
EXAMPLES = pathlib.Path(__file__).resolve().parent.parent

# the portal's record, in canonical form (RFC 8785): names sorted, no blanks
BILL = b'{"bill":"2026-27/TR-0142","net":"4,58,375.00","payee":"Sample Builders"}'
state = {"order": (EXAMPLES / "order.pdf").read_bytes(), "signatures": 0}
turn = threading.Lock()  # one order is checked at a time, or an officer's second copy would count too
sessions: dict[str, dict] = {}


class Refused(Exception):
    pass


def check(pans, signed, content=None):
    """D-Sign checks signature, chain and revocation, and that each of these people has signed."""
    if VERIFY_SERVICE:
        return ask_service(pans, signed, content)
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "order.pdf" if content is None else "signature.p7s")
        file.write_bytes(signed)
        command = [os.environ.get("DSIGN", "dsign"), "verify", "--trust", TRUST]
        command.append("--trial" if TRIAL else "--online")
        if content is not None:
            pathlib.Path(folder, "content").write_bytes(content)
            command += ["--content", str(pathlib.Path(folder, "content"))]
        for pan in pans:
            done = subprocess.run([*command, "--pan", pan, str(file)], capture_output=True, text=True)
            if done.returncode != 0:
                raise Refused(f"The signature does not count. {done.stdout}")


def ask_service(pans, signed, content):
    """The same by `dsign verify-service`, at an address like http://127.0.0.1:7797."""
    for pan in pans:
        fields = {
            "trust": b"portal",  # its name in the service's configuration
            "revocation": b"if-available" if TRIAL else b"require",
            "pan": hashlib.sha256(pan.encode()).hexdigest().encode(),
            "file": signed,
        }
        if content is not None:
            fields["content"] = content
        boundary = secrets.token_hex(16)
        body = b""
        for name, value in fields.items():
            file = f'; filename="{name}"' if name in ("file", "content") else ""
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
            body += head.encode() + value + b"\r\n"
        body += f"--{boundary}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        try:
            request = urllib.request.Request(f"{VERIFY_SERVICE}/v1/verify", body, headers)
            with urllib.request.urlopen(request) as answer:
                ok = json.load(answer)["ok"] is True
        except urllib.error.HTTPError as error:
            if error.code >= 500:
                raise  # ask again later
            ok = False
        if not ok:
            raise Refused("The signature does not count.")


def login(session, form):
    """A Web eID token: who has signed this session's nonce for this origin. Returns the PAN."""
    nonce = session.pop("nonce", None)  # once
    if nonce is None or form["algorithm"] != ["ES256"]:
        raise Refused("The login was not signed for this session.")
    sha256 = lambda text: hashlib.sha256(text.encode()).digest()
    raw = base64.b64decode(form["signature"][0])
    with tempfile.TemporaryDirectory() as folder:
        path = lambda name: str(pathlib.Path(folder, name))
        pathlib.Path(path("certificate.der")).write_bytes(base64.b64decode(form["certificate"][0]))
        openssl = lambda *args: subprocess.run(["openssl", *args], capture_output=True, text=True)
        pem = openssl("x509", "-inform", "DER", "-in", path("certificate.der")).stdout
        pathlib.Path(path("certificate.pem")).write_text(pem)
        # Certificates of real people have a chain and revocation: ask a verification service there.
        if openssl("verify", "-CAfile", TRUST, path("certificate.pem")).returncode != 0:
            raise Refused("Not a trusted certificate.")
        key = openssl("x509", "-in", path("certificate.pem"), "-noout", "-pubkey").stdout
        pathlib.Path(path("key.pem")).write_text(key)
        pathlib.Path(path("signature")).write_bytes(der_of(raw))
        pathlib.Path(path("message")).write_bytes(sha256(ORIGIN) + sha256(nonce))
        command = ["dgst", "-sha256", "-verify", path("key.pem"), "-signature", path("signature")]
        if openssl(*command, path("message")).returncode != 0:
            raise Refused("The login was not signed for this session.")
        subject = openssl("x509", "-in", path("certificate.pem"), "-noout", "-subject").stdout
    person = re.search(r"serialNumber ?= ?([0-9a-f]{64})", subject)
    for pan in OFFICERS:
        if person and hashlib.sha256(pan.encode()).hexdigest() == person[1]:
            return pan
    raise Refused("Nobody of this office.")


def der_of(raw):
    """An ECDSA signature r || s as OpenSSL wants it (RFC 3279)."""
    half = len(raw) // 2
    numbers = b""
    for part in (raw[:half], raw[half:]):
        number = part.lstrip(b"\0") or b"\0"
        number = b"\0" + number if number[0] & 0x80 else number
        numbers += b"\x02" + bytes([len(number)]) + number
    return b"\x30" + bytes([len(numbers)]) + numbers


class Portal(http.server.BaseHTTPRequestHandler):
    def answer(self):
        cookie = http.cookies.SimpleCookie(self.headers.get("cookie", "")).get("session")
        session_id = cookie.value if cookie else ""
        session = sessions.get(session_id, {})
        # A session gets its name here, and a new one at the login: somebody may have planted the browser's.
        if session_id not in sessions or self.path == "/login":
            sessions.pop(session_id, None)
            session_id = secrets.token_urlsafe(18)
            sessions[session_id] = session
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        try:
            status, (kind, text) = 200, self.route(session, body)
        except Refused as refused:
            status, kind, text = 422, "text/plain; charset=utf-8", str(refused)
        except Exception:
            traceback.print_exc()
            status, kind, text = 500, "text/plain; charset=utf-8", "The portal made a mistake."
        data = text if isinstance(text, bytes) else text.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.send_header("set-cookie", f"session={session_id}; HttpOnly; SameSite=Strict; Path=/{SECURE}")
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *_):
        pass

    def route(self, session, body):
        plain = "text/plain; charset=utf-8"
        match f"{self.command} {self.path}":
            case "GET /":
                return "text/html", (EXAMPLES / "page/index.html").read_bytes()
            case "GET /page.js":
                return "text/javascript", (EXAMPLES / "page/page.js").read_bytes()
            case "GET /client.js":
                sdk = os.environ.get("SDK", str(EXAMPLES / "../dist/web/client.js"))
                return "text/javascript", pathlib.Path(sdk).read_bytes()
            case "GET /config":
                return "application/json", json.dumps({"trial": int(TRIAL)} if TRIAL else {})
            case "GET /nonce":
                session["nonce"] = base64.b64encode(secrets.token_bytes(33)).decode()
                return plain, session["nonce"]
            case "POST /login":
                session["pan"] = login(session, urllib.parse.parse_qs(body.decode()))
                return plain, f"Logged in: {session['pan']}"
            case "GET /bill":
                return "application/json", BILL
            case "POST /bill":
                pan = session.get("pan")
                if pan is None:
                    raise Refused("Log in first.")
                check([pan], base64.b64decode(body), BILL)
                return plain, f"The bill is signed by {pan}."
            case "GET /order":
                return "application/pdf", state["order"]
            case "PUT /order":
                with turn:
                    count = state["signatures"]
                    if session.get("pan") is None or session["pan"] not in OFFICERS[count : count + 1]:
                        raise Refused("It is not your turn.")
                    if not body.startswith(state["order"]):
                        raise Refused("This is another order.")
                    check(OFFICERS[: count + 1], body)
                    state.update(order=body, signatures=count + 1)
                return plain, f"The order has {count + 1} of {len(OFFICERS)} signatures."
        raise Refused("There is nothing here.")


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Portal)
    print(f"{ORIGIN}/", flush=True)
    server.serve_forever()

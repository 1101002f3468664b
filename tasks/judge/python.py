"""Judges in Python: python.py token|store|certificate|pdf ARGUMENTS"""
import struct
import sys


def login(module, label, pin):
    import PyKCS11 as p
    lib = p.PyKCS11Lib()
    lib.load(module)
    slot = next(s for s in lib.getSlotList(tokenPresent=True)
                if lib.getTokenInfo(s).label.strip(" \0") == label)
    session = lib.openSession(slot, p.CKF_SERIAL_SESSION | p.CKF_RW_SESSION)
    session.login(pin)
    return p, session


def token(module, label, pin, key_id, parameter_set):
    """Makes an ML-DSA key pair on a token; prints the public key (hex)."""
    p, session = login(module, label, pin)
    low = p.LowLevel
    number = struct.pack("=Q", getattr(low, f"CKP_ML_DSA_{parameter_set}"))
    common = [(p.CKA_KEY_TYPE, low.CKK_ML_DSA), (p.CKA_TOKEN, p.CK_TRUE), (p.CKA_ID, bytes.fromhex(key_id))]
    public, _ = session.generateKeyPair(
        [(p.CKA_CLASS, p.CKO_PUBLIC_KEY), (p.CKA_VERIFY, p.CK_TRUE), (low.CKA_PARAMETER_SET, number), *common],
        [(p.CKA_CLASS, p.CKO_PRIVATE_KEY), (p.CKA_SIGN, p.CK_TRUE), (p.CKA_PRIVATE, p.CK_TRUE),
         (p.CKA_SENSITIVE, p.CK_TRUE), *common],
        mecha=p.Mechanism(low.CKM_ML_DSA_KEY_PAIR_GEN, None))
    print(bytes(session.getAttributeValue(public, [p.CKA_VALUE])[0]).hex())


def store(module, label, pin, *files):
    """Puts certificates (DER) on a token; the first one belongs to the key."""
    from asn1crypto import x509
    p, session = login(module, label, pin)
    for i, path in enumerate(files):
        with open(path, "rb") as file:
            der = file.read()
        certificate = x509.Certificate.load(der)
        session.createObject([
            (p.CKA_CLASS, p.CKO_CERTIFICATE), (p.CKA_CERTIFICATE_TYPE, p.CKC_X_509), (p.CKA_TOKEN, p.CK_TRUE),
            (p.CKA_PRIVATE, p.CK_FALSE), (p.CKA_LABEL, f"c{i}"), (p.CKA_ID, bytes([i + 1])), (p.CKA_VALUE, der),
            (p.CKA_SUBJECT, certificate.subject.dump()), (p.CKA_ISSUER, certificate.issuer.dump()),
            (p.CKA_SERIAL_NUMBER, certificate["tbs_certificate"]["serial_number"].dump())])


def certificate(issued, issuer):
    """Checks a certificate's signature with cryptography."""
    from cryptography import x509
    with open(issued, "rb") as one, open(issuer, "rb") as other:
        x509.load_der_x509_certificate(one.read()).verify_directly_issued_by(
            x509.load_der_x509_certificate(other.read()))


def pdf(path, root):
    """Validates a PDF's only signature with pyHanko."""
    from asn1crypto import x509
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation import validate_pdf_signature
    from pyhanko_certvalidator import ValidationContext
    with open(path, "rb") as file, open(root, "rb") as trusted:
        anchor = x509.Certificate.load(trusted.read())
        [signature] = PdfFileReader(file).embedded_signatures
        status = validate_pdf_signature(
            signature, ValidationContext(trust_roots=[anchor], allow_fetching=False))
        if not (status.intact and status.valid and status.trusted):
            sys.exit(status.summary())


{"token": token, "store": store, "certificate": certificate, "pdf": pdf}[sys.argv[1]](*sys.argv[2:])

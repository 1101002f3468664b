"""Part of `deno task bench peers`: pyHanko signs and verifies a PDF so often, in this process.

Arguments: the folder with a.pdf, signed.pdf, key.pem, certificate.pem, chain.pem, root.pem and *.crl; rounds.
Standard output: JSON of lists of milliseconds. What pyHanko does not call valid ends with an error.
"""
import glob
import io
import json
import os
import sys
import time

from pyhanko.keys import load_cert_from_pemder
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields, signers
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

folder, rounds = sys.argv[1], int(sys.argv[2])


def path(name):
    return os.path.join(folder, name)


def content(name):
    with open(path(name), "rb") as file:
        return file.read()


def measure(work):
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times.append((time.perf_counter() - begin) * 1000)
    return times


document, signed = content("a.pdf"), content("signed.pdf")
signer = signers.SimpleSigner.load(
    path("key.pem"), path("certificate.pem"), ca_chain_files=(path("chain.pem"),))
about = signers.PdfSignatureMetadata(
    field_name="Signature1", md_algorithm="sha256", subfilter=fields.SigSeedSubFilter.PADES)
root = load_cert_from_pemder(path("root.pem"))
crls = [content(name) for name in glob.glob("*.crl", root_dir=folder)]


def sign():
    signers.sign_pdf(IncrementalPdfFileWriter(io.BytesIO(document)), about, signer=signer)


def verify():
    context = ValidationContext(trust_roots=[root], crls=crls, revocation_mode="hard-fail")
    [signature] = PdfFileReader(io.BytesIO(signed)).embedded_signatures
    status = validate_pdf_signature(signature, context)
    if not status.bottom_line:
        sys.exit("pyHanko does not call it valid: " + status.summary())


print(json.dumps({"signed": measure(sign), "verified": measure(verify)}))

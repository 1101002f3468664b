"""Part of `deno task bench pdf`: pyHanko signs a PDF so often with a key of a PKCS#11 token.

Argument: a JSON file of library, env, token (its label), id (hexadecimal), pin, path and
rounds. Standard output: for each round the milliseconds of one signature, the token's time included.
"""
import io
import json
import os
import sys
import time

from pyhanko.config.pkcs11 import TokenCriteria
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko.sign.pkcs11 import PKCS11Signer, open_pkcs11_session

with open(sys.argv[1]) as file:
    start = json.load(file)
os.environ.update(start["env"])
with open(start["path"], "rb") as file:
    document = file.read()
session = open_pkcs11_session(
    start["library"], token_criteria=TokenCriteria(label=start["token"]), user_pin=start["pin"])
key_id = bytes.fromhex(start["id"])
signer = PKCS11Signer(session, cert_id=key_id, key_id=key_id)
about = signers.PdfSignatureMetadata(
    field_name="Signature1", md_algorithm="sha256", reason="Bench", subfilter=fields.SigSeedSubFilter.PADES)
for _ in range(start["rounds"]):
    begin = time.perf_counter()
    signers.sign_pdf(IncrementalPdfFileWriter(io.BytesIO(document)), about, signer=signer)
    print((time.perf_counter() - begin) * 1000)

"""pyHanko: signs PDFs, each as a new revision; or judges them.

sign FOLDER, pairs of input and output; or judge ROOT.pem FILE...
"""
import sys
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields, signers
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.keys import load_cert_from_pemder
from pyhanko_certvalidator import ValidationContext


def sign(folder, *paths):
    signer = signers.SimpleSigner.load_pkcs12(folder + "/signer.p12", passphrase=b"interop")
    for source, target in zip(paths[::2], paths[1::2]):
        try:
            with open(source, "rb") as handle, open(target, "wb") as out:
                writer = IncrementalPdfFileWriter(handle, strict=False)
                if writer.prev.encrypted:
                    writer.encrypt(b"")
                count = len(writer.prev.embedded_signatures)
                field = fields.SigFieldSpec(f"PyHanko{count}", box=(440, 20 + 40 * count, 560, 50 + 40 * count))
                meta = signers.PdfSignatureMetadata(
                    field_name=field.sig_field_name, md_algorithm="sha256", subfilter=fields.SigSeedSubFilter.PADES
                )
                signers.PdfSigner(meta, signer=signer, new_field_spec=field).sign_pdf(writer, output=out)
            print("ok", target)
        except Exception as error:
            print("failed", target, type(error).__name__, str(error).replace("\n", " "))


def judge(root, *paths):
    context = ValidationContext(trust_roots=[load_cert_from_pemder(root)], revocation_mode="soft-fail")
    for path in paths:
        said = []
        try:
            with open(path, "rb") as handle:
                for each in PdfFileReader(handle, strict=False).embedded_signatures:
                    status = validate_pdf_signature(each, context)
                    level = getattr(status.modification_level, "name", "none")
                    said.append("PASSED" if status.bottom_line else f"FAILED/{level}/{status.docmdp_ok}")
        except Exception as error:
            said.append(f"error {type(error).__name__} {error}".replace("\n", " "))
        print(path + "\t" + ",".join(said))


{"sign": sign, "judge": judge}[sys.argv[1]](*sys.argv[2:])

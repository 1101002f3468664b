"""pyHanko signs in every form that it knows: pyhanko_signs.py FOLDER, which `theirs.ts` has filled. Prints FILE, TAB, its content."""
import asyncio
import sys
from asn1crypto import crl, keys, x509
from pyhanko.keys import load_certs_from_pemder, load_cert_from_pemder
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers, timestamps
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore

folder = sys.argv[1] + "/"


def read(name):
    with open(folder + name, "rb") as file:
        return file.read()


def party(name):
    key = keys.PrivateKeyInfo.load(read(name + ".pk8"))
    certificate, *chain = load_certs_from_pemder([folder + name + ".pem"])
    return key, certificate, chain


def registry(chain):
    store = SimpleCertificateStore()
    store.register_multiple(chain)
    return store


context = lambda: ValidationContext(
    trust_roots=[load_cert_from_pemder(folder + "root.pem")],
    other_certs=list(load_certs_from_pemder([folder + "authorities.pem"])),
    crls=[crl.CertificateList.load(read(f"{index}.crl")) for index in range(3)],
    revocation_mode="soft-fail",
)
tsa_key, tsa, tsa_chain = party("tsa")
stamper = timestamps.DummyTimeStamper(tsa_cert=tsa, tsa_key=tsa_key, certs_to_embed=registry(tsa_chain))
PADES, ADOBE = fields.SigSeedSubFilter.PADES, fields.SigSeedSubFilter.ADOBE_PKCS7_DETACHED
forms = {
    "plain": dict(subfilter=ADOBE),
    "b": dict(subfilter=PADES),
    "t": dict(subfilter=PADES),
    "lt": dict(subfilter=PADES, embed_validation_info=True),
    "lta": dict(subfilter=PADES, embed_validation_info=True, use_pades_lta=True),
    "certified": dict(subfilter=PADES, certify=True, docmdp_permissions=fields.MDPPerm.FILL_FORMS),
}


def sign(source, target, signer, form, field):
    options = forms[form]
    if "embed_validation_info" in options:
        options = {**options, "validation_context": context()}
    writer = IncrementalPdfFileWriter(open(folder + source, "rb"))
    meta = signers.PdfSignatureMetadata(field_name=field, md_algorithm="sha256", **options)
    made = signers.PdfSigner(meta, signer=signer, timestamper=stamper if form in ("t", "lt", "lta") else None)
    with open(folder + target, "wb") as out:
        made.sign_pdf(writer, output=out)
    print(target + "\t")


async def cms(signer, name):
    for detached in (True, False):
        made = await signer.async_sign_general_data(
            read("order.txt"), "sha256", use_cades=True, detached=detached, timestamper=None
        )
        target = f"pyhanko-{name}-{'detached' if detached else 'attached'}-b.p7m"
        with open(folder + target, "wb") as out:
            out.write(made.dump())
        print(target + "\t" + ("order.txt" if detached else ""))


for name in ("rsa", "p256", "p384"):
    key, certificate, chain = party(name)
    signer = signers.SimpleSigner(certificate, key, registry(chain))
    for form in forms:
        sign("order.pdf", f"pyhanko-{name}-{form}.pdf", signer, form, "First")
    sign(f"pyhanko-{name}-b.pdf", f"pyhanko-{name}-twice.pdf", signer, "t", "Second")
    asyncio.run(cms(signer, name))

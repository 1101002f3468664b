"""LibreOffice: signs PDFs, each as a new revision, without a window.

FOLDER, pairs of input and output. The key comes from an NSS database, which LibreOffice finds by MOZILLA_CERTIFICATE_FOLDER.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import uno


def database(scratch, keys):
    nss = f"sql:{scratch}/nss"
    os.mkdir(f"{scratch}/nss")
    for command in (
        ["certutil", "-N", "-d", nss, "--empty-password"],
        ["pk12util", "-i", f"{keys}/signer.p12", "-d", nss, "-W", "interop"],
    ):
        subprocess.run(command, check=True, capture_output=True)
    return nss


def connect(pipe):
    local = uno.getComponentContext()
    resolver = local.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", local)
    for _ in range(120):
        try:
            return resolver.resolve(f"uno:pipe,name={pipe};urp;StarOffice.ComponentContext")
        except Exception:
            time.sleep(0.5)
    raise SystemExit("LibreOffice did not start.")


def sign_all(context, paths):
    def service(name):
        return context.ServiceManager.createInstanceWithContext(name, context)

    security = service("com.sun.star.xml.crypto.SEInitializer").createSecurityContext("")
    certificate = security.getSecurityEnvironment().getPersonalCertificates()[0]
    files = service("com.sun.star.ucb.SimpleFileAccess")
    for source, target in zip(paths[::2], paths[1::2]):
        try:
            shutil.copy(source, target)
            stream = files.openFileReadWrite(pathlib.Path(target).absolute().as_uri())
            signer = service("com.sun.star.security.DocumentDigitalSignatures")
            # Without a storage, which a PDF does not have, it signs the stream as a PDF.
            done = signer.signDocumentWithCertificate(certificate, None, stream)
            stream.getInputStream().closeInput()
            if not done:
                raise ValueError("not signed")
            print("ok", target)
        except Exception as error:
            pathlib.Path(target).unlink(missing_ok=True)
            print("failed", target, type(error).__name__, str(error).replace("\n", " "))
    try:
        service("com.sun.star.frame.Desktop").terminate()
    except Exception:
        pass  # it ends before it answers


def main():
    keys, *paths = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch:
        pipe = f"interop{os.getpid()}"
        office = subprocess.Popen(
            ["soffice", "--headless", "--norestore", f"-env:UserInstallation=file://{scratch}/profile",
             f"--accept=pipe,name={pipe};urp;"],
            env={**os.environ, "MOZILLA_CERTIFICATE_FOLDER": database(scratch, keys)},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        try:
            sign_all(connect(pipe), paths)
        finally:
            try:
                office.wait(20)
            except subprocess.TimeoutExpired:
                office.kill()


main()

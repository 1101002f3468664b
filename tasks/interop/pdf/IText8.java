// iText 8: signs PDFs, each as a new revision.
import com.itextpdf.kernel.geom.Rectangle;
import com.itextpdf.kernel.pdf.*;
import com.itextpdf.signatures.*;
import java.io.*;
import java.nio.file.*;
import java.security.*;
import java.security.cert.Certificate;
import org.bouncycastle.jce.provider.BouncyCastleProvider;

class IText8 {
  /** FOLDER of signer.p12 (password "interop"), then pairs of input and output. */
  public static void main(String[] args) throws Exception {
    Security.addProvider(new BouncyCastleProvider());
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(new FileInputStream(Path.of(args[0], "signer.p12").toFile()), "interop".toCharArray());
    String alias = store.aliases().nextElement();
    PrivateKey key = (PrivateKey) store.getKey(alias, "interop".toCharArray());
    Certificate[] chain = store.getCertificateChain(alias);
    for (int i = 1; i + 1 < args.length; i += 2) {
      try {
        PdfSigner signer = new PdfSigner(new PdfReader(args[i]), new FileOutputStream(args[i + 1]),
            new StampingProperties().useAppendMode());
        int count = new SignatureUtil(signer.getDocument()).getSignatureNames().size();
        signer.setFieldName("IText8-" + count);
        signer.setPageRect(new Rectangle(300, 20 + 40 * count, 120, 30)).setPageNumber(1);
        signer.signDetached(new BouncyCastleDigest(), new PrivateKeySignature(key, "SHA-256", "BC"),
            chain, null, null, null, 0, PdfSigner.CryptoStandard.CADES);
        System.out.println("ok " + args[i + 1]);
      } catch (Exception | LinkageError e) {
        System.out.println("failed " + args[i + 1] + " " + e);
      }
    }
  }
}

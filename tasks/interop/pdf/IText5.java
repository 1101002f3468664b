// iText 5: signs PDFs, each as a new revision.
import com.itextpdf.text.Rectangle;
import com.itextpdf.text.pdf.*;
import com.itextpdf.text.pdf.security.*;
import java.io.*;
import java.nio.file.*;
import java.security.*;
import java.security.cert.Certificate;
import org.bouncycastle.jce.provider.BouncyCastleProvider;

class IText5 {
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
        PdfReader reader = new PdfReader(args[i]);
        FileOutputStream out = new FileOutputStream(args[i + 1]);
        PdfStamper stamper = PdfStamper.createSignature(reader, out, '\0', null, true);
        PdfSignatureAppearance look = stamper.getSignatureAppearance();
        look.setLayer2Text("signed");
        int y = 20 + 40 * reader.getAcroFields().getSignatureNames().size();
        look.setVisibleSignature(new Rectangle(160, y, 280, y + 30), 1, null);
        MakeSignature.signDetached(look, new BouncyCastleDigest(),
            new PrivateKeySignature(key, "SHA-256", "BC"), chain, null, null, null, 0,
            MakeSignature.CryptoStandard.CADES);
        System.out.println("ok " + args[i + 1]);
      } catch (Exception | LinkageError e) {
        System.out.println("failed " + args[i + 1] + " " + e);
      }
    }
  }
}

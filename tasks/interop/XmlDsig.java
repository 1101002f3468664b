import java.io.File;
import javax.xml.crypto.KeySelector;
import javax.xml.crypto.dsig.XMLSignature;
import javax.xml.crypto.dsig.XMLSignatureFactory;
import javax.xml.crypto.dsig.dom.DOMValidateContext;
import javax.xml.parsers.DocumentBuilderFactory;
import java.io.ByteArrayInputStream;
import java.security.cert.CertificateFactory;
import java.util.Base64;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

/** Java's own XML Signature (javax.xml.crypto): one line "valid|invalid FILE" for each file. */
public class XmlDsig {
  static final String DS = "http://www.w3.org/2000/09/xmldsig#";

  public static void main(String[] files) {
    for (String file : files) {
      String verdict;
      try {
        verdict = check(file) ? "valid" : "invalid";
      } catch (Exception e) {
        verdict = "invalid (" + String.valueOf(e.getMessage()).split("\n")[0] + ")";
      }
      System.out.println(verdict + "\t" + file);
    }
  }

  static boolean check(String file) throws Exception {
    DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
    factory.setNamespaceAware(true);
    factory.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true);
    Document document = factory.newDocumentBuilder().parse(new File(file));
    NodeList signatures = document.getElementsByTagNameNS(DS, "Signature");
    for (int i = 0; i < signatures.getLength(); i++) {
      Element element = (Element) signatures.item(i);
      Element certificate = (Element) element.getElementsByTagNameNS(DS, "X509Certificate").item(0);
      byte[] der = Base64.getMimeDecoder().decode(certificate.getTextContent());
      var key = CertificateFactory.getInstance("X.509")
          .generateCertificate(new ByteArrayInputStream(der)).getPublicKey();
      DOMValidateContext context = new DOMValidateContext(KeySelector.singletonKeySelector(key), element);
      context.setProperty("org.jcp.xml.dsig.secureValidation", Boolean.FALSE);
      NodeList all = document.getElementsByTagName("*");
      for (int n = 0; n < all.getLength(); n++) {
        Element each = (Element) all.item(n);
        if (each.hasAttributeNS(null, "Id")) context.setIdAttributeNS(each, null, "Id");
      }
      XMLSignature signature = XMLSignatureFactory.getInstance("DOM").unmarshalXMLSignature(context);
      if (!signature.validate(context)) return false;
    }
    return signatures.getLength() > 0;
  }
}

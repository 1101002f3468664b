// veraPDF's verdict on files: java VeraPdf FLAVOUR FILE…; prints FILE, a tab, and the rules that it breaks (none: nothing).
import java.io.FileInputStream;
import java.util.stream.Collectors;
import org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider;
import org.verapdf.pdfa.Foundries;
import org.verapdf.pdfa.PDFAParser;
import org.verapdf.pdfa.PDFAValidator;
import org.verapdf.pdfa.flavours.PDFAFlavour;
import org.verapdf.pdfa.results.ValidationResult;

public class VeraPdf {
  public static void main(String[] args) throws Exception {
    VeraGreenfieldFoundryProvider.initialise();
    PDFAFlavour flavour = PDFAFlavour.fromString(args[0]);
    for (int i = 1; i < args.length; i++) {
      try (FileInputStream in = new FileInputStream(args[i]);
          PDFAParser parser = Foundries.defaultInstance().createParser(in, flavour);
          PDFAValidator validator = Foundries.defaultInstance().createValidator(flavour, false)) {
        ValidationResult result = validator.validate(parser);
        String broken = result.getFailedChecks().keySet().stream()
            .map(rule -> rule.getClause() + "-" + rule.getTestNumber()).sorted()
            .collect(Collectors.joining(" "));
        System.out.println(args[i] + "\t" + (result.isCompliant() ? "" : broken.isEmpty() ? "?" : broken));
      }
    }
  }
}

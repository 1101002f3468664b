import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** A signature by PIN and OTP, in Java: java Sign.java USER FILE SIGNED. A portal takes its JSON library. */
public final class Sign {
  static final String SERVICE = System.getenv("SERVICE");
  static final String CLIENT_ID = System.getenv("CLIENT_ID");
  /** The service, asked without its proxy, does not speak HTTP/2. */
  static final HttpClient HTTP = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  static String post(String path, byte[] body, String type, String token) throws Exception {
    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(SERVICE + path))
        .header("content-type", type)
        .POST(HttpRequest.BodyPublishers.ofByteArray(body));
    if (token != null) request.header("authorization", "Bearer " + token);
    HttpResponse<String> answer = HTTP.send(request.build(), HttpResponse.BodyHandlers.ofString());
    if (answer.statusCode() / 100 != 2) throw new IllegalStateException(path + ": " + answer.statusCode() + " " + answer.body());
    return answer.body();
  }

  static String form(Map<String, String> fields) {
    return fields.entrySet().stream()
        .map(each -> each.getKey() + "=" + URLEncoder.encode(each.getValue(), StandardCharsets.UTF_8))
        .collect(Collectors.joining("&"));
  }

  static String oauth(String path, Map<String, String> fields) throws Exception {
    Map<String, String> all = new TreeMap<>(fields);
    all.put("client_id", CLIENT_ID);
    all.put("client_secret", System.getenv("CLIENT_SECRET"));
    return post("/oauth2/" + path, form(all).getBytes(), "application/x-www-form-urlencoded", null);
  }

  static String csc(String path, String token, String json) throws Exception {
    return post("/csc/v2/" + path, json.getBytes(StandardCharsets.UTF_8), "application/json", token);
  }

  /** The first text of this name. */
  static String text(String json, String name) {
    Matcher found = Pattern.compile("\"" + name + "\":\\[?\"([^\"]*)\"").matcher(json);
    if (!found.find()) throw new IllegalStateException(name + " is not in " + json);
    return found.group(1);
  }

  public static void main(String[] args) throws Exception {
    String redirect = System.getenv("REDIRECT_URI");
    String token = text(oauth("token", Map.of("grant_type", "client_credentials")), "access_token");
    String listed = csc("credentials/list", token, "{\"userID\":\"" + args[0] + "\"}");
    String credential = text(listed, "credentialIDs");
    byte[] document = Files.readAllBytes(Path.of(args[1]));
    String hash = text(
        post("/portal/v1/documents?name=order.pdf", document, "application/pdf", token), "document");

    byte[] random = new byte[32];
    new SecureRandom().nextBytes(random);
    Base64.Encoder base64url = Base64.getUrlEncoder().withoutPadding();
    String verifier = base64url.encodeToString(random);
    byte[] digest = MessageDigest.getInstance("SHA-256").digest(verifier.getBytes());
    String details = """
        [{"type":"credential","credentialID":"%s","hashAlgorithmOID":"2.16.840.1.101.3.4.2.1",
          "documentDigests":[{"hash":"%s","label":"order.pdf"}]}]""".formatted(credential, hash);
    String pushed = oauth("pushed_authorize", Map.of(
        "response_type", "code",
        "redirect_uri", redirect,
        "code_challenge", base64url.encodeToString(digest),
        "code_challenge_method", "S256",
        "description", "Sanction order 7",
        "authorization_details", details));
    Map<String, String> query = Map.of("client_id", CLIENT_ID, "request_uri", text(pushed, "request_uri"));
    System.out.println(SERVICE + "/oauth2/authorize?" + form(query));
    // A portal sends the browser there, and takes `code` from the address to which it comes back.
    String code = new BufferedReader(new InputStreamReader(System.in)).readLine();

    String sad = text(oauth("token", Map.of(
        "grant_type", "authorization_code",
        "code", code,
        "redirect_uri", redirect,
        "code_verifier", verifier)), "access_token");
    String answer = csc("signatures/signDoc", sad, """
        {"credentialID":"%s","documents":[{"document":"%s","signature_format":"P"}]}"""
        .formatted(credential, Base64.getEncoder().encodeToString(document)));
    Files.write(Path.of(args[2]), Base64.getDecoder().decode(text(answer, "DocumentWithSignature")));
  }
}

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

/// <summary>A signature by PIN and OTP, in C#: USER FILE SIGNED. A portal takes System.Text.Json.</summary>
public static class Sign
{
    static readonly string Service = Environment.GetEnvironmentVariable("SERVICE");
    static readonly string ClientId = Environment.GetEnvironmentVariable("CLIENT_ID");
    static readonly HttpClient Http = new HttpClient();

    static string Post(string path, HttpContent body, string token = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, Service + path) { Content = body };
        if (token != null) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        HttpResponseMessage answer = Http.SendAsync(request).Result;
        string text = answer.Content.ReadAsStringAsync().Result;
        if (!answer.IsSuccessStatusCode) throw new InvalidOperationException(path + ": " + text);
        return text;
    }

    static string Form(Dictionary<string, string> fields)
    {
        return string.Join("&", fields.Select(each => each.Key + "=" + Uri.EscapeDataString(each.Value)));
    }

    static string OAuth(string path, Dictionary<string, string> fields)
    {
        fields["client_id"] = ClientId;
        fields["client_secret"] = Environment.GetEnvironmentVariable("CLIENT_SECRET");
        string type = "application/x-www-form-urlencoded";
        return Post("/oauth2/" + path, new StringContent(Form(fields), Encoding.UTF8, type));
    }

    static string Csc(string path, string token, string json)
    {
        return Post("/csc/v2/" + path, new StringContent(json, Encoding.UTF8, "application/json"), token);
    }

    /// <summary>The first text of this name.</summary>
    static string Text(string json, string name)
    {
        Match found = Regex.Match(json, "\"" + name + "\":\\[?\"([^\"]*)\"");
        if (!found.Success) throw new InvalidOperationException(name + " is not in " + json);
        return found.Groups[1].Value;
    }

    static string Base64Url(byte[] bytes)
    {
        return Convert.ToBase64String(bytes).TrimEnd('=').Replace('+', '-').Replace('/', '_');
    }

    public static void Main(string[] args)
    {
        string redirect = Environment.GetEnvironmentVariable("REDIRECT_URI");
        var ask = new Dictionary<string, string> { { "grant_type", "client_credentials" } };
        string token = Text(OAuth("token", ask), "access_token");
        string listed = Csc("credentials/list", token, "{\"userID\":\"" + args[0] + "\"}");
        string credential = Text(listed, "credentialIDs");
        byte[] document = File.ReadAllBytes(args[1]);
        string upload = Post("/portal/v1/documents?name=order.pdf", new ByteArrayContent(document), token);
        string hash = Text(upload, "document");

        var random = new byte[32];
        using (RandomNumberGenerator generator = RandomNumberGenerator.Create()) generator.GetBytes(random);
        string verifier = Base64Url(random);
        string challenge;
        using (SHA256 sha256 = SHA256.Create())
        {
            challenge = Base64Url(sha256.ComputeHash(Encoding.ASCII.GetBytes(verifier)));
        }
        string details = "[{\"type\":\"credential\",\"credentialID\":\"" + credential + "\"," +
            "\"hashAlgorithmOID\":\"2.16.840.1.101.3.4.2.1\"," +
            "\"documentDigests\":[{\"hash\":\"" + hash + "\",\"label\":\"order.pdf\"}]}]";
        string pushed = OAuth("pushed_authorize", new Dictionary<string, string>
        {
            { "response_type", "code" },
            { "redirect_uri", redirect },
            { "code_challenge", challenge },
            { "code_challenge_method", "S256" },
            { "description", "Sanction order 7" },
            { "authorization_details", details },
        });
        Console.WriteLine(Service + "/oauth2/authorize?" + Form(new Dictionary<string, string>
        {
            { "client_id", ClientId },
            { "request_uri", Text(pushed, "request_uri") },
        }));
        // A portal sends the browser there, and takes `code` from the address to which it comes back.
        string code = Console.ReadLine();

        string sad = Text(OAuth("token", new Dictionary<string, string>
        {
            { "grant_type", "authorization_code" },
            { "code", code },
            { "redirect_uri", redirect },
            { "code_verifier", verifier },
        }), "access_token");
        string answer = Csc("signatures/signDoc", sad, "{\"credentialID\":\"" + credential + "\"," +
            "\"documents\":[{\"document\":\"" + Convert.ToBase64String(document) + "\"," +
            "\"signature_format\":\"P\"}]}");
        File.WriteAllBytes(args[2], Convert.FromBase64String(Text(answer, "DocumentWithSignature")));
    }
}

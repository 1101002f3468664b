/**
 * The Technical Sanction page as a project portal may have one: the engineer drafts an order, issues it with PIN and OTP,
 * and an officer may sign the same order with a token, before or after.
 */
import { useEffect, useState } from "preact/hooks";
import { connect, DsignClientError } from "../client.ts";
import type { SanctionDraft, SanctionView } from "./sanction.ts";
import {
  draft,
  fileOf,
  find,
  putSigned,
  RefusedError,
  startEsign,
  startOtp,
} from "./sanction_api.ts";
import { Facts, KINDS, Masthead, Signatures } from "./sanction_parts.tsx";

const SCHEMES = ["State Plan", "Rural Infrastructure Development Fund", "Flood damage repair"];

export function SanctionPage() {
  const query = new URLSearchParams(location.search);
  const [sanction, setSanction] = useState<SanctionView | null>(null);
  const [problem, setProblem] = useState<string | null>(query.get("problem"));
  const id = query.get("id");
  useEffect(() => {
    if (id) find(id).then(setSanction, (error) => setProblem(error.message));
  }, []);
  const drafted = (made: SanctionView) => {
    const { search } = location;
    const port = new URLSearchParams(search).get("port");
    history.replaceState(null, "", `?id=${made.id}${port ? `&port=${port}` : ""}`);
    setProblem(null);
    setSanction(made);
  };
  return (
    <>
      <Masthead page="Technical Sanctions" />
      <main>
        {problem && <p class="warning" role="alert">{problem}</p>}
        {sanction
          ? <Order sanction={sanction} update={setSanction} />
          : !id && <Drafting drafted={drafted} />}
      </main>
    </>
  );
}

function Drafting({ drafted }: { drafted: (made: SanctionView) => void }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);

  async function save(form: HTMLFormElement) {
    setBusy(true);
    setProblem(null);
    try {
      drafted(await draft(Object.fromEntries(new FormData(form)) as unknown as SanctionDraft));
    } catch (error) {
      setProblem(explain(error));
      setBusy(false);
    }
  }

  return (
    <>
      <h1>Draft a Technical Sanction</h1>
      <form
        class="draft"
        onSubmit={(event) => {
          event.preventDefault();
          save(event.currentTarget);
        }}
      >
        <p>
          <label for="project">Project</label>
          <textarea id="project" name="project" required maxLength={300} rows={3}>
            Widening of the road from Barasat to Basirhat, km 12 to 19, with culverts
          </textarea>
        </p>
        <p>
          <label for="scheme">Scheme</label>
          <select id="scheme" name="scheme">
            {SCHEMES.map((name) => <option key={name}>{name}</option>)}
          </select>
        </p>
        <p>
          <label for="amount">Amount in rupees</label>
          <input
            id="amount"
            name="amount"
            required
            inputMode="decimal"
            pattern="[0-9][0-9,]*([.][0-9]{2})?"
            maxLength={24}
            defaultValue="12,50,000.00"
          />
        </p>
        <button type="submit" disabled={busy}>Make the order</button>
        {problem && <p class="warning" role="alert">{problem}</p>}
      </form>
    </>
  );
}

function Order(
  { sanction, update }: { sanction: SanctionView; update: (sanction: SanctionView) => void },
) {
  const [busy, setBusy] = useState<"otp" | "esign" | "token" | null>(null);
  const [problem, setProblem] = useState<{ text: string; download?: string } | null>(null);
  const { id, number, signatures, verifyUrl, hasEsign } = sanction;
  const issued = signatures.some(({ kind }) => kind === "departmental" || kind === "esign");
  const byToken = signatures.some(({ kind }) => kind === "token_dsc");

  async function during(way: "otp" | "esign" | "token", work: () => Promise<void>) {
    setBusy(way);
    setProblem(null);
    try {
      await work();
    } catch (error) {
      const download = error instanceof DsignClientError ? error.download : undefined;
      setProblem({ text: explain(error), download });
    } finally {
      setBusy(null);
    }
  }
  const signByOtp = () => during("otp", async () => location.assign((await startOtp(id)).location));
  const signByEsign = () =>
    during("esign", async () => location.assign((await startEsign(id)).location));
  const signByToken = () => during("token", async () => update(await signWithToken(sanction)));

  return (
    <>
      <h1>Technical Sanction {number}</h1>
      <Facts sanction={sanction} />
      <h2>Signatures</h2>
      <Signatures signatures={signatures} id={id} />
      <section class="sign">
        {!issued && (
          <>
            <p>
              Issue the order with your PIN and an OTP. You give both on the page of the signing
              service, which shows the order again; this portal never sees them. It will be a{" "}
              <strong>{KINDS.departmental}</strong>.
            </p>
            <button type="button" disabled={busy !== null} onClick={signByOtp}>
              {busy === "otp" ? "Opening the signing service" : "Sign with PIN and OTP"}
            </button>
            {hasEsign && (
              <>
                <p>
                  Or have it signed by the eSign service provider, who asks who you are. It will be
                  an <strong>{KINDS.esign}</strong>.
                </p>
                <button
                  type="button"
                  class="secondary"
                  disabled={busy !== null}
                  onClick={signByEsign}
                >
                  {busy === "esign" ? "Opening the page for eSign" : "Sign by eSign"}
                </button>
              </>
            )}
          </>
        )}
        {!byToken && (
          <>
            <p>An officer with a token can sign the same order, through D-Sign on this computer.</p>
            <button
              type="button"
              class="secondary"
              disabled={busy !== null}
              onClick={signByToken}
            >
              {busy === "token" ? "Look at the D-Sign window" : "Sign with a token"}
            </button>
          </>
        )}
        {problem && (
          <p class="warning" role="alert">
            {problem.text} {problem.download && <a href={problem.download}>Install D-Sign</a>}
          </p>
        )}
        {issued && (
          <p class="complete" role="status">
            Issued. <a href={verifyUrl}>Anyone can verify it here</a>, or by the QR code on it.
          </p>
        )}
      </section>
    </>
  );
}

/** The token signs the file as it stands; the portal gets it back with the signature in it, and checks it. */
async function signWithToken({ id, number }: SanctionView): Promise<SanctionView> {
  const port = Number(new URLSearchParams(location.search).get("port"));
  const client = await connect({
    ports: port ? [port] : undefined,
    download: "/web/install.html",
    scopes: ["certificates", "sign"],
    request: "To sign Technical Sanctions",
  });
  try {
    const response = await fetch(fileOf(id));
    const { pdf } = await client.signPdf(await response.blob(), {
      name: `${number.replaceAll("/", "-")}.pdf`,
      purpose: `Technical Sanction ${number}`,
      level: "B-LT",
      visible: { page: 1, rectangle: [310, 200, 540, 256], role: "Token DSC", language: "en" },
      reason: `Technical Sanction ${number}`,
    });
    return await putSigned(id, pdf);
  } finally {
    client.close();
  }
}

function explain(error: unknown): string {
  if (error instanceof RefusedError) return error.message;
  if (!(error instanceof DsignClientError)) throw error;
  switch (error.code) {
    case "user_cancelled":
      return "You did not sign. Nothing has changed.";
    case "not_installed":
      return "D-Sign does not answer on this computer. Start it and press the button again, or install it.";
  }
  return error.message;
}

/** The bill on its signing route: D-Sign itself sees to it that maker, checker and approver sign in this order. */
import { useState } from "preact/hooks";
import type { Client, Result } from "../client/index.ts";
import { BILL, ROLES } from "./bill.ts";
import { Checked, checkedByServer } from "./checked.tsx";
import { explain } from "./officers.ts";

type Certificate = Result<"certificate.list">["certificates"][number];
type Status = Result<"route.status">;
type Report = Result<"signature.verify">;

const CONTENT = { json: BILL };
const NAME = "bill.json";

export function BillRoute({ client }: { client: Client }) {
  const [route, setRoute] = useState<string | null>(null);
  const [status, setStatus] = useState<Status | null>(null);
  const [report, setReport] = useState<Report | null>(null);
  /** The server's word on the whole route. */
  const [checked, setChecked] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);

  async function attempt(work: () => Promise<void>) {
    setBusy(true);
    setProblem(null);
    try {
      await work();
    } catch (error) {
      setProblem(explain(error));
    } finally {
      setBusy(false);
    }
  }

  /** A real portal knows its officers; this one takes the first three that have a token in the computer. */
  const setUp = () =>
    attempt(async () => {
      const { certificates } = await client.call("certificate.list", {});
      const officers = distinct(certificates.filter(({ usable }) => usable));
      if (officers.length < ROLES.length) {
        setProblem("Three officers are needed: insert the tokens of all three.");
        return;
      }
      const steps = ROLES.map(({ title }, i) => ({
        role: title,
        signers: [{ name: officers[i]!.commonName, certificate: officers[i]!.id }],
        quorum: 1,
      }));
      const made = await client.call("route.create", {
        content: CONTENT,
        name: NAME,
        steps,
        certificate: officers[0]!.id,
        purpose: `Who signs bill ${BILL.bill}, and in which order`,
      });
      setReport(null);
      setChecked(null);
      setRoute(made.route);
      setStatus(await client.call("route.status", { route: made.route }));
    });

  const sign = (route: string, role: string) =>
    attempt(async () => {
      const signed = await client.call("route.sign", {
        route,
        content: CONTENT,
        purpose: `Bill ${BILL.bill}: you sign as ${role.toLowerCase()}`,
      });
      // Only a route that is at its end counts.
      setChecked(signed.status.next === null ? await checkedByServer("route", signed.route) : null);
      setRoute(signed.route);
      setStatus(signed.status);
    });

  const verify = (route: string) =>
    attempt(async () => {
      const content = new Blob([JSON.stringify(BILL)]);
      setReport(await client.verify(new Blob([route]), { content }));
    });

  return (
    <section class="route">
      <h2>The bill on a signing route</h2>
      <p class="aside">
        The order of signing is signed itself. D-Sign shows each officer who has signed, and refuses
        whoever is not next.
      </p>
      {status === null || route === null
        ? (
          <button type="button" disabled={busy} onClick={setUp}>
            {busy ? "Look at the D-Sign window" : "Set the route up"}
          </button>
        )
        : (
          <>
            <ol class="steps">
              {status.steps.map(({ role, signed, open, isDone }, i) => (
                <li key={role} class={isDone ? "step signed" : "step"}>
                  <h3>{role}</h3>
                  {isDone
                    ? <strong class="good">Signed by {signed.join(", ")}</strong>
                    : i === status.next
                    ? (
                      <button
                        type="button"
                        disabled={busy}
                        onClick={() => sign(route, role)}
                      >
                        {busy ? "Look at the D-Sign window" : `Sign the route as ${role}`}
                      </button>
                    )
                    : <span class="aside">waits for {open.join(", ")}</span>}
                </li>
              ))}
            </ol>
            <p role="status">
              {status.isComplete
                ? "The route is complete."
                : status.next === null
                ? "All have signed, but not every signature is proven."
                : "The route is not complete yet."}
            </p>
            {checked && (
              <Checked
                result={checked}
                found="all three have signed in their turn, every certificate leads to a root that the server trusts, and the route is over the server's own record of the bill."
              />
            )}
            <button type="button" class="secondary" disabled={busy} onClick={() => verify(route)}>
              Verify the route
            </button>{" "}
            <button type="button" class="secondary" onClick={() => save(route)}>
              Save bill.route
            </button>
          </>
        )}
      {report && <Verdict report={report} />}
      {problem && <p class="warning" role="alert">{problem}</p>}
    </section>
  );
}

function Verdict({ report }: { report: Report }) {
  const all = [...report.findings, ...report.signatures.flatMap(({ findings }) => findings)];
  const against = [
    ...new Set(all.filter((each) => each.severity !== "notice").map((e) => e.message)),
  ];
  return (
    <div class="verdict" role="status">
      <p>
        <strong>{report.indication}</strong>: {report.signatures.length} signatures
      </p>
      <ul>{against.map((message) => <li key={message}>{message}</li>)}</ul>
    </div>
  );
}

/** One certificate for each person. */
function distinct(certificates: Certificate[]): Certificate[] {
  const names = new Set<string>();
  return certificates.filter(({ commonName }) => !names.has(commonName) && names.add(commonName));
}

function save(route: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([route], { type: "application/json" }));
  link.download = "bill.route";
  link.click();
  URL.revokeObjectURL(link.href);
}

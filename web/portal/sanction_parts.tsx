/** Shared parts of the engineer's page and the public one. */
import type { SanctionSignature, SanctionView } from "./sanction.ts";
import { fileOf, receiptOf } from "./sanction_api.ts";

/** Names of the kinds of signatures, used wherever one is mentioned. */
export const KINDS: Record<SanctionSignature["kind"], string> = {
  departmental: "Departmental PIN/OTP signature",
  token_dsc: "Token DSC",
  esign: "ESP eSign",
  document_signer: "Document signer certificate of an organisation",
  unknown: "Of a kind that is not known here",
};

const WORDS: Record<SanctionSignature["indication"], string> = {
  "TOTAL-PASSED": "Valid",
  "TOTAL-FAILED": "Not valid",
  INDETERMINATE: "Cannot be told",
};

export function Masthead({ page }: { page: string }) {
  return (
    <header class="masthead">
      <p>
        <strong>Sample Works Department</strong>
        <span>{page}</span>
      </p>
      <p class="aside">A sample. No office, no money.</p>
    </header>
  );
}

export function Facts({ sanction }: { sanction: SanctionView }) {
  const { number, date, project, scheme, amount, id, size } = sanction;
  const rows: [string, string][] = [
    ["Number", number],
    ["Date", new Date(date).toLocaleDateString("en-IN", { dateStyle: "long" })],
    ["Project", project],
    ["Scheme", scheme],
    ["Amount", `₹ ${amount}`],
  ];
  return (
    <section>
      <dl class="rows">
        {rows.map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
        <div>
          <dt>Order</dt>
          <dd>
            <a href={fileOf(id)}>{number.replaceAll("/", "-")}.pdf</a>{" "}
            <span class="aside">{Math.ceil(size / 1024)} KB</span>
          </dd>
        </div>
      </dl>
    </section>
  );
}

export function Signatures({ signatures, id }: Pick<SanctionView, "signatures" | "id">) {
  if (signatures.length === 0) return <p>Nobody has signed the order yet.</p>;
  return (
    <ol class="steps">
      {signatures.map((
        { name, kind, level, indication, time, isProven, reason, findings, logged },
      ) => (
        <li class={indication === "TOTAL-PASSED" ? "step signed" : "step"} key={name + time}>
          <h2>
            {name} <span class="aside">{KINDS[kind]}</span>
          </h2>
          <p>
            <strong class={indication === "TOTAL-PASSED" ? "good" : "warning"}>
              {WORDS[indication]}
            </strong>{" "}
            {level && <span class="aside">PAdES {level}</span>}
          </p>
          {time && (
            <p class="aside">
              {new Date(time).toLocaleString("en-IN", { dateStyle: "long", timeStyle: "medium" })}
              {isProven ? ", proven by a timestamp" : ", as the signer says"}
            </p>
          )}
          {reason && <p class="aside">{reason}</p>}
          {logged && (
            <p class="aside">
              Stands in the department's log as number {logged.number} of {logged.of}.{" "}
              <a href={receiptOf(id)} download>Receipt</a>
            </p>
          )}
          {findings.map((each) => <p key={each}>{each}</p>)}
        </li>
      ))}
    </ol>
  );
}

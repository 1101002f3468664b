/** The report on a signed file: who signed, first, and what was changed since. */
import type { ComponentChildren } from "preact";
import type { VerificationReport } from "../../protocol/report.ts";
import { REPORT_WORDS, type ReportWord } from "../../words/report.ts";
import { type Language, type Speech, speech } from "../../words/speech.ts";
import { Foreign } from "../parts.tsx";
import type { Speech as Agent } from "../../words/agent.ts";
import { commonNameOf } from "../text.ts";

type SignatureReport = VerificationReport["signatures"][number];
type ReportSpeech = Speech<ReportWord>;

const LOOKS = {
  "TOTAL-PASSED": { word: "verdict_passed", look: "good", sign: "✓" },
  "TOTAL-FAILED": { word: "verdict_failed", look: "bad", sign: "✗" },
  INDETERMINATE: { word: "verdict_unclear", look: "care", sign: "?" },
} as const;

export function Verdict(
  { indication, language }: {
    indication: VerificationReport["indication"];
    language: Language;
  },
) {
  const { word, look, sign } = LOOKS[indication];
  return (
    <strong class={`verdict ${look}`}>
      <span aria-hidden="true">{sign}</span> {speech(REPORT_WORDS, language).say(word)}
    </strong>
  );
}

export function Report(
  { report, speech: outer }: { report: VerificationReport; speech: Agent },
) {
  const { language } = outer;
  const spoken = speech(REPORT_WORDS, language);
  const { signatures, findings, indication, route } = report;
  const { say } = spoken;
  const count = signatures.filter(({ kind }) => kind !== "timestamp").length;
  return (
    <div class="report">
      {signatures.map((each) => (
        <Signature key={each.id} signature={each} speech={outer} spoken={spoken} />
      ))}
      <Findings findings={findings} spoken={spoken} />
      {route && (
        <p>
          {say("route")}: {say(
            route.isComplete
              ? "route_complete"
              : route.next === null
              ? "route_unproven"
              : "route_open",
          )}
        </p>
      )}
      <p class="aside">
        {indication === "TOTAL-PASSED"
          ? count === 1 ? say("passed_one") : say("passed_many", { count })
          : indication === "TOTAL-FAILED"
          ? say("failed")
          : say(count === 0 ? "nothing_signed" : "unclear")} {say("legal")}
      </p>
    </div>
  );
}

function Signature(
  { signature, speech: outer, spoken }: {
    signature: SignatureReport;
    speech: Agent;
    spoken: ReportSpeech;
  },
) {
  const { say, date, moment } = spoken;
  const { signer, kind, role, findings, claimedTime, provenTime, chain, revocation } = signature;
  return (
    <article class="signature">
      <h3>
        {signer ? <Foreign text={signer.commonName} /> : say("unknown_signer")}
        {role && (
          <span class="aside">
            {", "}
            <Foreign text={role} />
          </span>
        )}
      </h3>
      <p>
        <Verdict indication={signature.indication} language={outer.language} />
        {kind !== "signature" && <span class="aside">{` ${say(`kind_${kind}`)}`}</span>}
      </p>
      <p>
        {provenTime
          ? say("time_proven", { time: moment(provenTime) })
          : claimedTime
          ? say("time_claimed", { time: moment(claimedTime) })
          : `${say("time")}: ${say("time_none")}`}
      </p>
      <Findings findings={findings} spoken={spoken} />
      <Since signature={signature} speech={outer} spoken={spoken} />
      <details>
        <summary>{say("certificate")}</summary>
        <dl class="rows">
          {signer && (
            <>
              <Row name={say("certificate")}>
                {say(signer.kind === "unknown" ? "kind_unknown" : signer.kind)}
                {signer.class && `, ${say("class", { class: signer.class })}`}
              </Row>
              <Row name={say("signer")}>
                <Foreign text={signer.subject} />
              </Row>
              <Row name={say("issued_by")}>
                <Foreign text={commonNameOf(signer.issuer)} />
              </Row>
              <Row name={say("validity")}>
                {say("valid_between", { from: date(signer.notBefore), to: date(signer.notAfter) })}
              </Row>
            </>
          )}
          {chain.length > 0 && (
            <Row name={say("trust")}>
              <Foreign text={chain.join(" ← ")} />
            </Row>
          )}
          <Row name={say("revocation")}>
            {revocation.status === "good"
              ? say("revocation_good", { time: moment(revocation.asOf) })
              : revocation.status === "revoked"
              ? say("revocation_revoked", { time: moment(revocation.since) })
              : say("revocation_unknown")}
          </Row>
          <Row name={say("conclusion")}>
            <code>
              {[signature.indication, signature.subIndication].filter(Boolean).join(" / ")}
            </code>
          </Row>
          {signature.algorithm && (
            <Row name={say("algorithm")}>
              <code>{signature.algorithm}</code>
            </Row>
          )}
        </dl>
      </details>
      {signature.countersignatures.map((each) => (
        <Signature key={each.id} signature={each} speech={outer} spoken={spoken} />
      ))}
    </article>
  );
}

/** What was changed since, or left out. */
function Since(
  { signature: { coverage, changes, findings }, speech, spoken: { say } }: {
    signature: SignatureReport;
    speech: Agent;
    spoken: ReportSpeech;
  },
) {
  const isAltered = findings.some(({ severity }) => severity === "failed");
  return (
    <>
      {coverage.extent === "part"
        ? (
          <p>
            {say("covers")}: {coverage.parts.length > 0
              ? <Foreign text={say("covers_part", { parts: coverage.parts.join(", ") })} />
              : say("covers_nothing")}
          </p>
        )
        : coverage.extent === "whole" && changes.length === 0 && !isAltered &&
          <p>{speech.say("pdf_unchanged")}</p>}
      {changes.length > 0 && (
        <>
          <p>{say("changes")}:</p>
          <ul class="scopes">
            {changes.map(({ kind, name, allowed, unclear, places = [] }) => (
              <li key={`${kind} ${name}`}>
                <Foreign text={say(`change_${kind}`, { name })} />
                {places.map(({ page }) =>
                  `, ${say("drawn_on", { page })}`
                )} {unclear
                  ? <strong class="care">{say("not_vouched")}</strong>
                  : !allowed && <strong class="bad">{say("not_allowed")}</strong>}
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}

function Findings(
  { findings, spoken: { say } }: { findings: VerificationReport["findings"]; spoken: ReportSpeech },
) {
  if (findings.length === 0) return null;
  return (
    <ul class="scopes">
      {findings.map(({ code, severity }) => (
        <li
          key={code}
          class={severity === "failed" ? "bad" : severity === "unclear" ? "care" : undefined}
        >
          {say(`finding_${code}`)}
        </li>
      ))}
    </ul>
  );
}

function Row({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/**
 * The report for people: one self-contained, printable HTML page. Everything taken from the file is shown as plain text
 * and cannot pass for part of the report.
 */
import { html, raw } from "hono/html";
import type {
  Finding,
  Indication,
  SignatureReport,
  VerificationReport,
} from "../../formats/verify/report.ts";
import { REPORT_WORDS, type ReportWord } from "../../words/report.ts";
import type { Language } from "../../words/speech.ts";

export interface ReportOf {
  /** The file's name as given. */
  name: string;
  size: number;
  /** SHA-256, hexadecimal. */
  sha256: string;
  report: VerificationReport;
  /** Failed downloads, as sentences. */
  problems: readonly string[];
}

/** Markup; all else within it is escaped. */
type Html = ReturnType<typeof html>;
type Verdict = "passed" | "failed" | "unclear";

const verdicts: Readonly<Record<Indication, Verdict>> = {
  "TOTAL-PASSED": "passed",
  "TOTAL-FAILED": "failed",
  INDETERMINATE: "unclear",
};

/** Seals differ in shape, not only in colour. */
const SEALS: Readonly<Record<Verdict, string>> = {
  passed: '<circle cx="32" cy="32" r="30"/><path d="M18 33l10 10 19-21"/>',
  failed: '<path d="M20 2h24l18 18v24L44 62H20L2 44V20z"/><path d="M22 22l20 20M42 22L22 42"/>',
  unclear: '<path d="M32 3l30 56H2z"/><path d="M32 24v16M32 49v.5"/>',
};

const STYLE = `
:root{--ink:#1c2430;--soft:#556070;--line:#d5dae1;--passed:#0b6b3a;--failed:#a01722;--unclear:#8a5a00}
*{box-sizing:border-box}
body{margin:0 auto;max-width:54rem;padding:1.5rem;color:var(--ink);background:#fff;
font:16px/1.55 system-ui,"Noto Sans","Noto Sans Bengali","Noto Sans Devanagari",sans-serif;
overflow-wrap:anywhere}
h1{font-size:1.15rem;margin:0 0 1rem;color:var(--soft);font-weight:600}
h2{font-size:1.15rem;margin:2rem 0 .75rem}
h3{font-size:1.1rem;margin:0}
.seal{flex:none;width:4.5rem;height:4.5rem}.small .seal{width:2.25rem;height:2.25rem}
.seal :first-child{fill:currentColor}
.seal :last-child{fill:none;stroke:#fff;stroke-width:6;stroke-linecap:round;stroke-linejoin:round}
.verdict{display:flex;gap:1.25rem;align-items:center;padding:1.25rem;border:2px solid;border-radius:.75rem}
.verdict strong{display:block;font-size:1.9rem;line-height:1.2}
.verdict p{margin:.25rem 0 0;color:var(--ink)}
.passed{color:var(--passed)}.failed{color:var(--failed)}.unclear{color:var(--unclear)}
.card{border:1px solid var(--line);border-radius:.75rem;padding:1rem 1.25rem;margin:0 0 1rem;break-inside:avoid}
.card>header{display:flex;gap:.75rem;align-items:center;margin-bottom:.5rem}
.card>header p{margin:0;color:var(--soft);font-size:.9rem}
.card .card{margin:.75rem 0 0;background:#f8f9fb}
dl{display:grid;grid-template-columns:minmax(8rem,13rem) 1fr;gap:.3rem 1rem;margin:.5rem 0 0}
dt{color:var(--soft)}dd{margin:0}dd>div+div{margin-top:.15rem}
ul{margin:.5rem 0;padding-left:1.25rem}small{color:var(--soft)}
.findings{list-style:none;padding:0;margin:.5rem 0}
.findings li{border-left:4px solid currentColor;padding:.15rem .75rem;margin:.4rem 0}
.findings span{color:var(--ink)}.findings small{display:block}.notice{color:var(--soft)}
.route{display:flex;flex-wrap:wrap;gap:.75rem;list-style:none;padding:0}
.route li{flex:1 1 12rem;border:2px solid var(--line);border-radius:.75rem;padding:.6rem .9rem}
.route .done{border-color:var(--passed)}.route .next{border-color:var(--unclear);border-style:dashed}
.route b{display:block}.route div::before{content:"✓ ";color:var(--passed)}.route .open::before{content:"○ ";color:var(--soft)}
.route .unproven::before{content:"? ";color:var(--unclear)}
code{font:.85em ui-monospace,monospace}
footer{margin-top:2rem;padding-top:1rem;border-top:1px solid var(--line);font-size:.9rem;color:var(--soft)}
@media print{body{padding:0;font-size:12px;max-width:none}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
@media (max-width:36rem){dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}.verdict{flex-direction:column;align-items:flex-start}}
`;

/** Foreign text: no markup, no invisible characters, no text direction that leaks out. */
function text(value: string): Html {
  // Keep the joiners U+200C and U+200D: Bengali and Hindi need them.
  const visible = value.replace(/(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}]/gu, "\ufffd");
  return html`<bdi>${visible}</bdi>`;
}

const seal = (verdict: Verdict, label: Html) =>
  html`
    <svg class="seal ${verdict}" viewBox="0 0 64 64" role="img"
      aria-label="${label}">${raw(SEALS[verdict])}</svg>
  `;

/** Whether a signature is ML-DSA's. */
export const isPostQuantum = ({ algorithm }: Pick<SignatureReport, "algorithm">): boolean =>
  algorithm?.startsWith("ML-DSA-") ?? false;

/** States in a sentence or two what this verification does not check. */
export function limitsOf(files: readonly ReportOf[], language: Language): string {
  const { limits, limits_revocation } = REPORT_WORDS[language];
  const isRevocationUnknown = files.some(({ report }) =>
    report.signatures.some(({ revocation }) => revocation.status === "unknown")
  );
  return isRevocationUnknown ? `${limits} ${limits_revocation}` : limits;
}

/** One page for one or more files. */
export function htmlReport(
  files: readonly ReportOf[],
  language: Language,
  version: string,
): string {
  const page = new Page(language);
  const { title } = REPORT_WORDS[language];
  return String(html`
    <!DOCTYPE html>
    <html lang="${language}">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width">
        <meta http-equiv="Content-Security-Policy"
          content="default-src 'none'; style-src 'unsafe-inline'">
        <title>${title}</title>
        <style>${raw(STYLE)}</style>
      </head>
      <body>
    <h1>${title}</h1>
    ${files.map((file) => html`<main>${page.file(file)}</main>`)}
    <footer><p>${text(limitsOf(files, language))}</p><p>${page.say("legal")}</p><p>${page.say(
      "made_by",
      { version },
    )}</p></footer>
      </body>
    </html>
  `);
}

class Page {
  readonly #words: (typeof REPORT_WORDS)[Language];
  readonly #dates: Intl.DateTimeFormat;
  readonly #days: Intl.DateTimeFormat;
  readonly #numbers: Intl.NumberFormat;

  constructor(language: Language) {
    this.#words = REPORT_WORDS[language];
    const locale = `${language}-IN`;
    // Name the time zone, because people elsewhere read the report too.
    const zone = { timeZone: "Asia/Kolkata", timeZoneName: "short" } as const;
    this.#dates = new Intl.DateTimeFormat(locale, {
      ...zone,
      year: "numeric",
      month: "long",
      day: "numeric",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      hourCycle: "h23",
    });
    this.#days = new Intl.DateTimeFormat(locale, {
      timeZone: "Asia/Kolkata",
      dateStyle: "long",
    });
    this.#numbers = new Intl.NumberFormat(locale);
  }

  say(word: ReportWord, values: Record<string, string | number> = {}): Html {
    // every second part is the name of a value
    const parts = this.#words[word].split(/\{(\w+)\}/).map((part, index) => {
      if (index % 2 === 0) return part;
      const value = values[part];
      return typeof value === "number" ? this.#numbers.format(value) : text(value);
    });
    return html`${parts}`;
  }

  #time = (rfc3339: string) => this.#dates.format(new Date(rfc3339));
  #day = (rfc3339: string) => this.#days.format(new Date(rfc3339));

  file({ name, size, sha256, report, problems }: ReportOf): Html {
    const verdict = verdicts[report.indication];
    const count = report.signatures.filter(({ kind }) => kind !== "timestamp").length;
    const line = verdict === "passed"
      ? count === 1 ? this.say("passed_one") : this.say("passed_many", { count })
      : this.say(verdict === "unclear" && count === 0 ? "nothing_signed" : verdict);
    const title = this.say(`verdict_${verdict}`);
    const rows = [
      this.#row("file", html`<b>${text(name)}</b> (${this.say("size", { bytes: size })})`),
      this.#row("sha256", html`<code>${text(sha256)}</code>`),
    ];
    return html`<section class="verdict ${verdict}">${seal(verdict, title)}
<div><strong>${title}</strong><p>${line}</p>
<p><small>${
      this.say("checked_at", { time: this.#time(report.verifiedAt) })
    }</small></p></div></section>
<dl>${rows}</dl>
${this.#findings(report.findings)}${this.#route(report)}
${count + report.signatures.length > 0 && html`<h2>${this.say("signatures")}</h2>`}
${report.signatures.map((each) => this.#signature(each))}
${problems.length > 0 && html`<h2>${this.say("fetch_problems")}</h2>${list(problems.map(text))}`}`;
  }

  /** Nothing if there is no value. */
  #row(word: ReportWord, value: unknown): unknown {
    return value && [html`<dt>${this.say(word)}</dt>`, html`<dd>${value}</dd>`];
  }

  #findings(findings: readonly Finding[]): Html | null {
    if (findings.length === 0) return null;
    const items = findings.map(({ code, severity, message }) =>
      html`<li class="${severity}"><span>${this.say(`finding_${code}`)}</span>
<small lang="en">${text(message)}</small></li>`
    );
    return html`<ul class="findings">${items}</ul>`;
  }

  #signature(signature: SignatureReport): Html {
    const { signer, kind, indication, subIndication, level, findings } = signature;
    const verdict = verdicts[indication];
    const title = this.say(`verdict_${verdict}`);
    const name = signer ? text(signer.commonName) : this.say("unknown_signer");
    const id = kind !== "route" && [" ", text(signature.id)];
    return html`<article class="card"><header class="small">${seal(verdict, title)}
<div><h3>${name}</h3><p>${
      this.say(`kind_${kind}`)
    }${id}: <b class="${verdict}">${title}</b></p></div></header>
${this.#findings(findings)}
<dl>${this.#rows(signature)}
${
      this.#row(
        "conclusion",
        html`<code>${indication}${subIndication && [" / ", subIndication]}</code>`,
      )
    }
${this.#row("level", level && html`<code>${level}</code>`)}
${
      this.#row(
        "algorithm",
        signature.algorithm && [
          html`<code>${text(signature.algorithm)}</code>`,
          isPostQuantum(signature) && html`
            <small>${this.say("post_quantum")}</small>
          `,
        ],
      )
    }</dl>
${signature.countersignatures.map((each) => this.#signature(each))}</article>`;
  }

  #rows(signature: SignatureReport): unknown[] {
    const { signer, chain, claimedTime, provenTime, coverage, revocation, panMatches } = signature;
    const kinds = {
      token_dsc: "token_dsc",
      esign: "esign",
      document_signer: "document_signer",
      departmental: "departmental",
      unknown: "kind_unknown",
    } as const;
    const times = [
      provenTime && this.say("time_proven", { time: this.#time(provenTime) }),
      claimedTime && this.say("time_claimed", { time: this.#time(claimedTime) }),
    ].filter(Boolean);
    const isWhole = coverage.extent !== "part";
    const isAltered = signature.findings.some(({ severity }) => severity === "failed");
    return [
      this.#row("role", signature.role && text(signature.role)),
      this.#row("reason", signature.reason && text(signature.reason)),
      this.#row("location", signature.location && text(signature.location)),
      this.#row("time", lines(times.length > 0 ? times : [this.say("time_none")])),
      this.#row(
        "covers",
        isWhole
          ? lines([
            ...isAltered ? [] : [this.say(`covers_${coverage.extent as "whole" | "revision"}`)],
            ...coverage.revision ? [this.say("covers_revision_of", coverage.revision)] : [],
          ])
          : coverage.parts.length
          ? this.say("covers_part", { parts: coverage.parts.join(", ") })
          : this.say("covers_nothing"),
      ),
      this.#row(
        "changes",
        signature.changes.length > 0 && lines(
          signature.changes.map(({ kind, name, allowed, unclear, places = [] }) => [
            this.say(`change_${kind}`, { name }),
            places.map(({ page }) => [", ", this.say("drawn_on", { page })]),
            unclear && [" ", html`<b class="unclear">${this.say("not_vouched")}</b>`],
            !allowed && !unclear && [" ", html`<b class="failed">${this.say("not_allowed")}</b>`],
          ]),
        ),
      ),
      this.#row(
        "certificate",
        signer && lines([
          [
            this.say(kinds[signer.kind]),
            signer.class && [", ", this.say("class", { class: signer.class })],
          ],
          html`<small>${text(signer.subject)}</small>`,
          html`<small>${this.say("serial", { serial: signer.serialNumber })}</small>`,
        ]),
      ),
      this.#row("issued_by", signer && text(signer.issuer)),
      this.#row("trust", chain.length > 0 && chain.map((each, i) => [i > 0 && " ← ", text(each)])),
      this.#row(
        "validity",
        signer && this.say("valid_between", {
          from: this.#day(signer.notBefore),
          to: this.#day(signer.notAfter),
        }),
      ),
      this.#row(
        "revocation",
        revocation.status === "good"
          ? this.say("revocation_good", { time: this.#time(revocation.asOf) })
          : revocation.status === "revoked"
          ? html`<b class="failed">${
            this.say("revocation_revoked", { time: this.#time(revocation.since) })
          }</b>`
          : this.say("revocation_unknown"),
      ),
      this.#row(
        "timestamps",
        signature.timestamps.length > 0 && lines(
          signature.timestamps.map(({ time, authority, indication }) =>
            this.say(indication === "TOTAL-PASSED" ? "timestamp_counts" : "timestamp_ignored", {
              time: this.#time(time),
              authority: authority ?? "?",
            })
          ),
        ),
      ),
      this.#row("pan", panMatches !== null && this.say(panMatches ? "pan_yes" : "pan_no")),
    ];
  }

  #route({ route }: VerificationReport): Html | null {
    if (!route) return null;
    const steps = route.steps.map(({ role, quorum, signed, unproven, open, isDone }, index) => {
      const state = isDone && unproven.length === 0 ? "done" : index === route.next ? "next" : "";
      const people = [
        ...signed.map((name) =>
          unproven.includes(name)
            ? html`<div class="unproven">${text(name)} <small>${
              this.say("route_unproven_signer")
            }</small></div>`
            : html`<div>${text(name)} <small>${this.say("route_signed")}</small></div>`
        ),
        ...(isDone ? [] : open).map((name) =>
          html`<div class="open">${text(name)} <small>${this.say("route_waiting")}</small></div>`
        ),
      ];
      const next = state === "next" && [
        " ",
        html`<span class="unclear">(${this.say("route_next")})</span>`,
      ];
      return html`<li class="${state}"><b>${
        this.say("route_step", { role, done: signed.length, quorum })
      }${next}</b>${people}</li>`;
    });
    const state = route.isComplete
      ? "route_complete"
      : route.next === null
      ? "route_unproven"
      : "route_open";
    return html`<h2>${this.say("route")}: ${text(route.content.name)}</h2>
<p>${this.say(state)}</p>
<ol class="route">${steps}</ol>`;
  }
}

const lines = (items: readonly unknown[]) => html`${items.map((each) => html`<div>${each}</div>`)}`;
const list = (items: readonly Html[]) =>
  html`<ul>${items.map((each) => html`<li>${each}</li>`)}</ul>`;

/** The bill of the sample treasury, and who has to sign it. */

/** As it is signed: this object in canonical JSON (RFC 8785). Amounts are strings, so that no digit can be lost. */
export const BILL = {
  bill: "2026-27/TR-0142",
  office: "Executive Engineer, Sample Division",
  payee: "Sample Builders, Kolkata",
  account: "2059-80-053-01",
  work: "Repair of the school building, second part",
  gross: "4,82,500.00",
  deductions: "24,125.00",
  net: "4,58,375.00",
  currency: "INR",
};

/** What the signer is to read beside the names of the bill's members. */
export const LABELS = {
  bill: "Bill number",
  office: "Office",
  payee: "Payee",
  account: "Head of account",
  work: "Work",
  gross: "Gross amount",
  deductions: "Deductions",
  net: "Net amount",
};

/** How the page writes the bill. */
export const ROWS: [label: string, value: string][] = [
  [LABELS.bill, BILL.bill],
  [LABELS.office, BILL.office],
  [LABELS.payee, BILL.payee],
  [LABELS.account, BILL.account],
  [LABELS.work, BILL.work],
  [LABELS.gross, `₹ ${BILL.gross}`],
  [LABELS.deductions, `₹ ${BILL.deductions}`],
  [LABELS.net, `₹ ${BILL.net}`],
];

/** The officers, in the order in which they sign; each must be another person. */
export const ROLES = [
  { id: "maker", title: "Maker", does: "prepares the bill" },
  { id: "checker", title: "Checker", does: "checks it" },
  { id: "approver", title: "Approver", does: "approves the payment" },
] as const;

export type Role = typeof ROLES[number];

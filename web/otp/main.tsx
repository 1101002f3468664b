/** The service's page: `/otp#TICKET` to sign or to sign in, `/otp#enrol-CODE` to set a PIN, `/otp` to change it. */
import { render } from "preact";
import { otpApi } from "./api.ts";
import { Page } from "./page.tsx";

const ticket = location.hash.slice(1);
// The browser's history, which may be synchronised with other computers, need not know the ticket.
history.replaceState(null, "", location.pathname);
render(<Page api={otpApi(ticket)} change={ticket === ""} />, document.body);

/** The signer program's own page: `/`. */
import { render } from "preact";
import { Console } from "./page.tsx";

render(<Console port={Number(location.port)} />, document.body);

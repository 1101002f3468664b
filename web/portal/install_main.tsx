/** The download page. `data-manifest` of its body says where the release's manifest is. */
import { render } from "preact";
import { InstallPage } from "./install_page.tsx";

const port = Number(new URLSearchParams(location.search).get("port"));
render(
  <InstallPage manifest={document.body.dataset.manifest!} ports={port ? [port] : undefined} />,
  document.body,
);

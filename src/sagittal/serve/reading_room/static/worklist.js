// Upload from the worklist: the file's bytes as they are, with the page's token.

const drop = document.querySelector("#upload");
const line = document.querySelector("#notice");
let listed = "";

// A list without news is left alone, and with it the focus and what is marked on the page.
document.body.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.shouldSwap) {
    event.detail.shouldSwap = event.detail.serverResponse !== listed;
    listed = event.detail.serverResponse;
  }
});

drop?.addEventListener("change", async () => {
  const [file] = drop.files;
  if (!file) {
    return;
  }
  line.hidden = false;
  line.textContent = "uploading …";
  const token = document.querySelector("meta[name=csrf]").content;
  try {
    const response = await fetch(`/upload?name=${encodeURIComponent(file.name)}`, {
      method: "POST", body: file, headers: { "x-csrf-token": token },
    });
    line.textContent = response.ok ? "uploaded; it is read in its turn" : (await response.text()).trim();
  } catch {
    line.textContent = "the reading room does not answer";
  }
  drop.value = "";
});

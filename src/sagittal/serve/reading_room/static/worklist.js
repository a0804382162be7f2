// Upload from the worklist: the file's bytes as they are, with the page's token.

const drop = document.querySelector("#upload");
const line = document.querySelector("#notice");

drop?.addEventListener("change", async () => {
  const [file] = drop.files;
  if (!file) {
    return;
  }
  line.hidden = false;
  line.textContent = "uploading …";
  const token = document.querySelector("meta[name=csrf]").content;
  const response = await fetch(`/upload?name=${encodeURIComponent(file.name)}`, {
    method: "POST", body: file, headers: { "x-csrf-token": token },
  });
  line.textContent = response.ok ? "uploaded; it is read in its turn" : (await response.text()).trim();
  drop.value = "";
});

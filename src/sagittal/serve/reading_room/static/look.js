// Runs before anything is painted: whoever reads first without the draft must not see it flash by.

document.documentElement.classList.toggle("own-look", localStorage.getItem("own-look") === "yes");

"""Language models as `Writes`: a GGUF file or a transformers folder on this machine, or an endpoint.

Weights are read as data only: safetensors or GGUF, no remote code, nothing fetched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sagittal.errors import BadInput
from sagittal.optional import needs
from sagittal.report.codec import read_json
from sagittal.settings import WriterSettings
from sagittal.zoo.capability import Answer, Unanswered, Writes
from sagittal.zoo.card import weights_digest
from sagittal.zoo.endpoint import endpoint

CONTEXT_TOKENS = 4096
"""Prompt and answer together; a reading's findings take a few hundred."""
MAX_TOKENS = 512
"""Longest answer. Other words for a text are about as long as the text, at three characters a token and
more; a small model that does not stop would otherwise go on to the limit every time."""
MAX_SECONDS = 120.0
BLANK = "\n\n"

Chat = list[dict[str, str]]
Generate = Callable[[Chat, bool, int], tuple[str, bool]]
"""(messages, json, most tokens) -> (text, whether it was cut)."""


@dataclass(frozen=True)
class LocalWriter:
    """A causal language model in this process; nothing leaves it."""

    name: str
    digest: str
    generate: Generate = field(repr=False)
    remote: bool = False

    def write(self, system: str, user: str, *, json: bool = False) -> Answer:
        """One answer to one prompt, greedily; the same prompt gets the same answer.

        Raises:
            Unanswered: the prompt is too long for it, or it wrote nothing.
        """
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        try:
            most = MAX_TOKENS if json else min(MAX_TOKENS, 64 + len(user) // 3)
            text, cut = self.generate(messages, json, most)
        except (ValueError, RuntimeError) as error:
            raise Unanswered(f"{self.name} did not answer ({type(error).__name__})") from None
        if not text.strip():
            raise Unanswered(f"{self.name}: its answer is empty")
        return Answer(text, cut=cut)


def open_writer(where: str | Path) -> Writes:
    """The language model that ``where`` names.

    Args:
        where: a ``.gguf`` file, a transformers folder with safetensors, or a JSON file of
            `WriterSettings` for an endpoint.

    Raises:
        BadInput: it is none of these, or is damaged.
        MissingExtra: the package that runs it is not installed.
    """
    path = Path(where)
    if path.suffix.lower() == ".json" and path.is_file():
        return endpoint(read_json(WriterSettings, path))
    if path.suffix.lower() == ".gguf" and path.is_file():
        return _gguf(path)
    if path.is_dir() and any(path.glob("*.safetensors")):
        return _folder(path)
    raise BadInput(
        f"{path} is no language model",
        "a .gguf file, a folder with safetensors, or a JSON file with url and model",
    )


def _gguf(path: Path) -> LocalWriter:
    if path.open("rb").read(4) != b"GGUF":
        raise BadInput(f"{path} is no GGUF file")
    generate = _llama(path) if find_spec("llama_cpp") else _transformers(path.parent, gguf_file=path.name)
    with path.open("rb") as file:
        return LocalWriter(path.stem, hashlib.file_digest(file, "sha256").hexdigest(), generate)


def _folder(path: Path) -> LocalWriter:
    return LocalWriter(path.resolve().name, weights_digest(path), _transformers(path))


def _llama(path: Path) -> Generate:
    package: Any = needs("llama_cpp", feature="a GGUF language model", extra="llama")
    try:
        model = package.Llama(str(path), n_ctx=CONTEXT_TOKENS, seed=0, verbose=False, swa_full=False)
    except (ValueError, RuntimeError, AssertionError) as error:
        raise BadInput(f"{path} cannot be loaded ({error})", "a GGUF language model") from None

    chats = bool(model.metadata.get("tokenizer.chat_template"))

    def generate(messages: Chat, json: bool, most: int) -> tuple[str, bool]:
        model.reset()
        if not chats:
            said = model.create_completion(
                _paragraphs(messages), max_tokens=most, temperature=0.0, stop=[BLANK]
            )
            choice = said["choices"][0]
            return choice["text"], choice["finish_reason"] == "length"
        form = {"type": "json_object"} if json else None
        said = model.create_chat_completion(messages, max_tokens=most, temperature=0.0, response_format=form)
        choice = said["choices"][0]
        return choice["message"]["content"] or "", choice["finish_reason"] == "length"

    return generate


def _transformers(folder: Path, **options: Any) -> Generate:
    package: Any = needs("transformers", feature="a local language model", extra="zoo")
    source = {"local_files_only": True, "trust_remote_code": False, **options}
    try:
        tokenizer = package.AutoTokenizer.from_pretrained(folder, **source)
        if "gguf_file" not in options:
            source["use_safetensors"] = True
        model = package.AutoModelForCausalLM.from_pretrained(folder, **source).eval()
    except (OSError, ValueError, KeyError, ImportError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"{folder} cannot be loaded as a language model ({first})") from None

    def generate(messages: Chat, json: bool, most: int) -> tuple[str, bool]:
        text = _prompt(tokenizer, messages)
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=tokenizer.chat_template is None)
        if ids["input_ids"].shape[1] + most > CONTEXT_TOKENS:
            raise ValueError("the prompt is too long")
        out = model.generate(**ids, max_new_tokens=most, do_sample=False, max_time=MAX_SECONDS)
        new = out[0, ids["input_ids"].shape[1] :]
        return tokenizer.decode(new, skip_special_tokens=True), len(new) >= most

    return generate


def _paragraphs(messages: Chat) -> str:
    """The messages one after the other, for a model that was taught no form of conversation.

    It only goes on with a text: without a heading of its own for the answer it repeats the instructions, and
    without an end at the next blank line it repeats them after the answer.
    """
    return BLANK.join([*(message["content"] for message in messages), "Result:\n"])


def _prompt(tokenizer: Any, messages: Chat) -> str:
    """The messages in the model's own form; as plain paragraphs where it has none."""
    if tokenizer.chat_template is None:
        return _paragraphs(messages)
    try:
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except Exception as error:
        # Some templates know no system role; jinja2's error carries what the template said.
        if "system" not in str(error).lower():
            raise ValueError(str(error)) from None
        merged = [{"role": "user", "content": BLANK.join(message["content"] for message in messages)}]
        return tokenizer.apply_chat_template(merged, tokenize=False, add_generation_prompt=True)

"""Language models on this machine: how a prompt is put to them and what is made of an answer."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

from sagittal.errors import BadInput, MissingExtra
from sagittal.zoo import writer as module
from sagittal.zoo.capability import Unanswered, Writes
from sagittal.zoo.writer import MAX_TOKENS, open_writer


class Llama:
    """What llama-cpp-python offers, with a model that says how it was asked."""

    template: str = "a template"
    finish = "stop"
    text = "A nodule."
    asked: ClassVar[list[Any]] = []

    def __init__(self, path: str, **options: Any) -> None:
        if "broken" in path:
            raise ValueError("Failed to load model")
        self.metadata = {"tokenizer.chat_template": self.template}

    def reset(self) -> None:
        self.asked.clear()

    def create_chat_completion(self, messages: Any, **options: Any) -> Any:
        self.asked.append((messages, options))
        return {"choices": [{"message": {"content": self.text}, "finish_reason": self.finish}]}

    def create_completion(self, prompt: str, **options: Any) -> Any:
        if len(prompt) > 5000:
            raise ValueError("Requested tokens exceed context window")
        self.asked.append((prompt, options))
        return {"choices": [{"text": self.text, "finish_reason": self.finish}]}


@pytest.fixture
def gguf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = ModuleType("llama_cpp")
    package.Llama = Llama  # type: ignore[attr-defined]
    package.__spec__ = SimpleNamespace(name="llama_cpp")  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "llama_cpp", package)
    path = tmp_path / "small.gguf"
    path.write_bytes(b"GGUF" + bytes(64))
    return path


def test_a_gguf_file_is_a_writer_that_stays_here(gguf: Path) -> None:
    model = open_writer(gguf)
    assert isinstance(model, Writes) and not model.remote
    assert (model.name, model.digest) == ("small", hashlib.sha256(gguf.read_bytes()).hexdigest())
    assert model.write("be brief", "x" * 300).text == "A nodule."
    ((messages, options),) = Llama.asked
    assert [m["role"] for m in messages] == ["system", "user"]
    assert (options["max_tokens"], options["temperature"], options["response_format"]) == (164, 0.0, None)
    model.write("be brief", "list", json=True)
    assert Llama.asked[-1][1]["response_format"] == {"type": "json_object"}
    assert Llama.asked[-1][1]["max_tokens"] == MAX_TOKENS


def test_a_model_that_was_taught_no_conversation_gets_paragraphs(
    gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Llama, "template", "")
    monkeypatch.setattr(Llama, "finish", "length")
    answer = open_writer(gguf).write("be brief", "list")
    assert answer.cut and Llama.asked[-1][0] == "be brief\n\nlist\n\nResult:\n"
    assert Llama.asked[-1][1]["stop"] == ["\n\n"]
    with pytest.raises(Unanswered, match="did not answer"):
        open_writer(gguf).write("be brief", "x" * 6000)


def test_an_empty_answer_is_none(gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Llama, "text", " \n")
    with pytest.raises(Unanswered, match="empty"):
        open_writer(gguf).write("", "")


def test_a_file_that_cannot_be_loaded_is_bad_input(gguf: Path) -> None:
    broken = gguf.with_name("broken.gguf")
    broken.write_bytes(gguf.read_bytes())
    with pytest.raises(BadInput, match=r"broken.gguf cannot be loaded"):
        open_writer(broken)


def test_without_a_package_to_run_it_the_extra_is_named(gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "llama_cpp")
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"sagittal\[zoo\]"):
        open_writer(gguf)


def test_a_folder_of_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers (extra zoo) is not installed")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {word: i for i, word in enumerate(["<unk>", "<eos>", "a", "nodule", "is", "seen", "."])}
    plain = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=plain, unk_token="<unk>", eos_token="<eos>", pad_token="<eos>"
    )
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.LlamaConfig(vocab_size=len(words), eos_token_id=1, pad_token_id=1, **sizes)
    model = transformers.LlamaForCausalLM(config)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    made = open_writer(tmp_path)
    assert made.name == tmp_path.name and len(made.digest) == 64
    try:
        first = made.write("a nodule", "is seen .")
        assert first.text == made.write("a nodule", "is seen .").text
    except Unanswered as error:
        assert "empty" in str(error)
    with pytest.raises(Unanswered, match="did not answer"):
        made.write("a", "nodule " * 5000)

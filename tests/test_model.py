"""The whole model: shapes, saving, gradients, missing text, and learning a toy."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sagittal.branch import BranchConfig
from sagittal.decoders.image import sample
from sagittal.decoders.language import LanguageConfig, opened
from sagittal.decoders.prompts import Prompts
from sagittal.decoders.search import greedy
from sagittal.encoders.image import ImageConfig
from sagittal.encoders.picture import PictureConfig, PictureEncoder
from sagittal.encoders.slices import SliceConfig
from sagittal.encoders.table import Concept, Rows, TableConfig
from sagittal.encoders.text import TextConfig
from sagittal.encoders.tokenizer import train_tokenizer
from sagittal.encoders.vit import VitConfig
from sagittal.encoders.volume import VolumeConfig, inflate
from sagittal.errors import BadInput
from sagittal.layers.features import Extent, Tokens
from sagittal.model import FUSIONS, Earlier, Fusion, Model, ModelConfig, load, save
from sagittal.training.loop import FitConfig, fit
from sagittal.training.objective import label_loss, mask_loss

PICTURE = PictureConfig(widths=(8, 16, 24), blocks=(0, 1, 1), strides=(2, 2, 2), heads=2)
VOLUME = VolumeConfig(
    channels=2,
    widths=(8, 16),
    blocks=(0, 1),
    kernels=((1, 3, 3), (3, 3, 3)),
    strides=((1, 4, 4), (2, 2, 2)),
    heads=2,
    detail=(1, 2, 2),
)


def tiny(text: bool = True) -> Model:
    torch.manual_seed(0)
    branches = {
        "film": BranchConfig(PICTURE, ("nodule", "heart failure"), ("heart", "lung", "nodule")),
        "scan": BranchConfig(VOLUME, ("bleed",), ("brain",)),
        "plain": BranchConfig(PICTURE, masks=("lung",)),
    }
    return Model(
        ModelConfig(branches, TextConfig(60, 12, 1, 2) if text else None, width=16, embedding=12, heads=2)
    )


def words(rows: int) -> Tokens:
    return Tokens(torch.randint(2, 60, (rows, 5)), torch.ones(rows, 5, dtype=torch.bool))


def test_shapes_of_each_branch() -> None:
    model = tiny()
    film = model("film", torch.randn(2, 1, 33, 30), words(2))
    assert film.label_logits.shape == (2, 2)
    assert film.mask_logits.shape == (2, 3, 33, 30)
    assert film.embedding.shape == (2, 12)
    torch.testing.assert_close(film.embedding.norm(dim=1), torch.ones(2))
    scan = model("scan", torch.randn(1, 2, 6, 16, 16), present=torch.tensor([[True, False]]))
    assert scan.mask_logits.shape == (1, 1, 6, 16, 16)
    assert model("scan", torch.randn(1, 2, 6, 16, 16), upsample=False).mask_logits.shape == (1, 1, 6, 8, 8)
    plain = model("plain", torch.randn(1, 1, 16, 16))
    assert plain.label_logits is None
    assert model.encode_text(*words(3)).shape == (3, 12)


@pytest.mark.parametrize(
    ("encoder", "size"),
    [
        (VitConfig(patch=(4, 4), layers=1, heads=2, widths=(8, 16)), (13, 16)),
        (VitConfig(patch=(2, 4, 4), layers=1, heads=2, widths=(8, 16)), (6, 9, 16)),
        (SliceConfig(picture=PICTURE, layers=1, heads=2), (3, 16, 16)),
        (inflate(PictureEncoder(PICTURE, 16), PICTURE, 16)[0], (8, 16, 16)),
    ],
    ids=["vit", "vit 3D", "slices", "inflated"],
)
def test_every_kind_of_encoder_draws_labels_saves_and_loads(
    encoder: ImageConfig, size: tuple[int, ...], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    branches = {"it": BranchConfig(encoder, ("nodule",), ("nodule", "lung"))}
    save(Model(ModelConfig(branches, width=16, embedding=12, heads=2)), tmp_path)
    model, image = load(tmp_path), torch.randn(2, 1, *size)
    assert model.config.branches == branches
    out = model("it", image)
    assert out.mask_logits.shape == (2, 2, *size)
    assert out.label_logits.shape == (2, 1)
    (out.label_logits.sum() + out.mask_logits.square().mean() + out.embedding.sum()).backward()
    silent = [n for n, p in model.branches.named_parameters() if p.grad is None]
    assert all(n.endswith(".missing") for n in silent)


def test_spacing_and_padding_reach_the_model() -> None:
    torch.manual_seed(0)
    vit = VitConfig(patch=(4, 4), layers=2, heads=2, widths=())
    model = Model(ModelConfig({"it": BranchConfig(vit, ("nodule",))}, width=16, embedding=12, heads=2))
    image = torch.randn(1, 1, 8, 12)
    padded = torch.full((1, 1, 16, 16), 1e3)
    padded[:, :, :8, :12] = image
    spacing = torch.tensor([[0.5, 2.0]])
    alone = model("it", image, extent=Extent(spacing))
    beside = model("it", padded, extent=Extent(spacing, torch.tensor([[8, 12]])))
    torch.testing.assert_close(beside.label_logits, alone.label_logits)
    torch.testing.assert_close(beside.embedding, alone.embedding)
    assert not torch.allclose(model.embed("it", image), alone.embedding)


LABS = TableConfig({"crp": Concept("mg/L", 10, 20), "troponin": Concept("ng/L", 5, 10)}, layers=1, heads=2)


def whole(fusion: Fusion, latents: int = 0) -> Model:
    """Every decoder, and labs and text beside the image."""
    torch.manual_seed(0)
    film = BranchConfig(
        PICTURE, ("nodule",), ("lung",), grades=("density",), levels=4, events=("death", "relapse"),
        edges=(1.0, 3.0), prompts=True, draws=(8, 16),
    )  # fmt: skip
    scan = BranchConfig(VOLUME, ("bleed",), ("brain",), events=("death",), prompts=True, draws=(8, 8))
    text = TextConfig(60, 12, 1, 2)
    return Model(
        ModelConfig(
            {"film": film, "scan": scan},
            text,
            width=16,
            embedding=12,
            heads=2,
            tables={"labs": LABS},
            fusion=fusion,
            latents=latents,
        )
    ).eval()


def labs(rows: int) -> Rows:
    state = torch.zeros(rows, 2, dtype=torch.int64)
    return Rows(
        torch.tensor([[0, 1]] * rows), state, torch.randn(rows, 2), torch.zeros(rows, 2),
        torch.ones(rows, 2, dtype=torch.bool),
    )  # fmt: skip


GATHERED: tuple[tuple[Fusion, int], ...] = (
    *((fusion, 0) for fusion in FUSIONS), ("early", 3), ("intermediate", 3), ("mutual", 3),
)  # fmt: skip


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_decoder_stands_in_the_configuration(fusion: Fusion, tmp_path: Path) -> None:
    save(whole(fusion), tmp_path)
    model, image, text = load(tmp_path), torch.randn(2, 1, 16, 16), words(2)
    assert model.config == whole(fusion).config
    out = model("film", image, text, tables={"labs": labs(2)})
    assert out.grade_logits.shape == (2, 1, 3)
    assert (out.grade_logits.diff(dim=-1) <= 0).all()
    assert out.risk.shape == (2, 2, 2)
    click = Prompts(torch.full((2, 1, 2), 8.0), torch.ones(2, 1, dtype=torch.int64))
    drawn = model.branch("film").prompt(out.features, click, (16, 16))
    assert drawn.masks.shape[0] == 2
    film = sample(model.branch("film").draw, (2, 1, 16, 16), model.text(text), steps=2)
    assert film.shape == (2, 1, 16, 16) and film.isfinite().all()
    scan = model("scan", torch.randn(1, 2, 4, 16, 16))
    assert scan.risk.shape == (1, 1)
    assert sample(model.branch("scan").draw, (1, 2, 4, 8, 8), steps=1).shape == (1, 2, 4, 8, 8)
    with pytest.raises(BadInput, match="no table 'vitals'"):
        model("film", image, tables={"vitals": labs(2)})


@pytest.mark.parametrize(("fusion", "latents"), GATHERED)
def test_every_fusion_listens_and_does_without(fusion: Fusion, latents: int) -> None:
    model, image = whole(fusion, latents), torch.randn(2, 1, 16, 16)
    for name, parameter in model.named_parameters():
        if name.endswith("gates"):
            torch.nn.init.constant_(parameter, 0.7)
    alone = model("film", image)
    assert alone.label_logits.isfinite().all()
    rows = labs(2)
    other = rows._replace(value=rows.value + 3)
    told, otherwise = (model("film", image, tables={"labs": each}) for each in (rows, other))
    assert not torch.allclose(told.label_logits, alone.label_logits)
    assert not torch.allclose(told.label_logits, otherwise.label_logits)
    half = rows._replace(mask=torch.tensor([[True, True], [False, False]]))
    partly = model("film", image, tables={"labs": half})
    torch.testing.assert_close(partly.label_logits[0], told.label_logits[0])
    torch.testing.assert_close(partly.label_logits[1], alone.label_logits[1])
    nobody = words(2)._replace(mask=torch.zeros(2, 5, dtype=torch.bool))
    torch.testing.assert_close(model("film", image, nobody).label_logits, alone.label_logits)
    # grades and risks listen, too; grades stay in order, whatever is said
    assert not torch.allclose(told.grade_logits, otherwise.grade_logits)
    assert not torch.allclose(told.risk, otherwise.risk)
    assert (otherwise.grade_logits.diff(dim=-1) <= 0).all()
    torch.testing.assert_close(partly.grade_logits[1], alone.grade_logits[1])
    torch.testing.assert_close(partly.risk[1], alone.risk[1])


@pytest.mark.parametrize("fusion", FUSIONS)
def test_in_training_the_others_are_hidden_from_some_rows(fusion: Fusion) -> None:
    base = whole(fusion)
    image, rows = torch.randn(1, 1, 16, 16).expand(64, 1, 16, 16), labs(1)
    rows = Rows(*(each.expand(64, -1) for each in rows))
    for drop, least, most in ((0.0, 64, 64), (0.5, 16, 48), (1.0, 0, 0)):
        model = Model(replace(base.config, drop=drop))
        model.load_state_dict(base.state_dict())
        for name, parameter in model.named_parameters():
            if name.endswith("gates"):
                torch.nn.init.constant_(parameter, 0.7)
        alone = model.train()("film", image, embed=False).label_logits[0]
        torch.manual_seed(3)
        told = model("film", image, tables={"labs": rows}, embed=False).label_logits
        heard = int(((told - alone).abs() > 1e-5).sum())
        assert least <= heard <= most
        torch.manual_seed(3)
        again = model("film", image, tables={"labs": rows}, embed=False).label_logits
        torch.testing.assert_close(again, told)  # what is hidden follows the seed: a run can be resumed
        reading = model.eval()("film", image, tables={"labs": rows}, embed=False).label_logits
        assert (reading != alone).all()


def test_nonsense_about_fusion_is_refused() -> None:
    config = whole("late").config
    for wrong in ({"latents": 4}, {"drop": 1.5}, {"layers": 0}, {"fusion": "foo"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            replace(config, **wrong)


def test_an_earlier_image_has_an_extent_of_its_own() -> None:
    torch.manual_seed(0)
    vit = VitConfig(patch=(4, 4), layers=1, heads=2, widths=())
    config = ModelConfig({"it": BranchConfig(vit, ("nodule",))}, width=16, embedding=12, heads=2, priors=True)
    model = Model(config).eval()
    torch.nn.init.constant_(model.timeline.look.gates, 0.7)
    image, prior = torch.randn(1, 1, 16, 16), torch.randn(1, 1, 1, 8, 12)
    days = torch.tensor([[30.0]])
    padded = torch.full((1, 1, 1, 16, 16), 1e3)
    padded[..., :8, :12] = prior
    spacing = torch.tensor([[[0.5, 2.0]]])
    alone = model("it", image, earlier=Earlier(prior, days, extent=Extent(spacing)))
    inside = Extent(spacing, torch.tensor([[[8, 12]]]))
    torch.testing.assert_close(
        model("it", image, earlier=Earlier(padded, days, extent=inside)).label_logits, alone.label_logits
    )
    assert not torch.allclose(
        model("it", image, earlier=Earlier(prior, days)).label_logits, alone.label_logits
    )


def test_earlier_images_are_hidden_in_training_too() -> None:
    base = whole("intermediate")
    model = Model(replace(base.config, priors=True, drop=1.0)).train()
    for name, parameter in model.named_parameters():
        if name.endswith("gates"):
            torch.nn.init.constant_(parameter, 0.7)
    image, earlier = torch.randn(2, 1, 16, 16), Earlier(torch.randn(2, 1, 1, 16, 16), torch.full((2, 1), 9.0))
    alone = model("film", image).risk
    torch.testing.assert_close(model("film", image, earlier=earlier).risk, alone)
    assert not torch.allclose(model.eval()("film", image, earlier=earlier).risk, alone)


@pytest.mark.parametrize("embed_masks", [False, True])
def test_an_image_looks_at_earlier_ones_of_any_number(embed_masks: bool, tmp_path: Path) -> None:
    base = whole("intermediate")
    torch.manual_seed(2)
    model = Model(replace(base.config, priors=True, embed_masks=embed_masks)).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("gates"):
            torch.nn.init.constant_(parameter, 0.7)
    image, before = torch.randn(3, 1, 16, 16), torch.randn(3, 2, 1, 16, 16)
    alone = model("film", image)
    days = torch.tensor([[30.0, 400.0], [math.nan, 9.0], [math.nan, math.nan]])
    out = model("film", image, earlier=Earlier(before, days))
    torch.testing.assert_close(out.label_logits[2], alone.label_logits[2])
    torch.testing.assert_close(out.embedding[2], alone.embedding[2])
    assert not torch.allclose(out.embedding[0], alone.embedding[0])
    # the order in which they are given says nothing, their dates do; what is not there is not looked at
    turned = model("film", image, earlier=Earlier(before.flip(1), days.flip(1)))
    torch.testing.assert_close(turned.label_logits, out.label_logits)
    swapped = model("film", image, earlier=Earlier(before.flip(1), days))
    assert not torch.allclose(swapped.label_logits[0], out.label_logits[0])
    single = model("film", image[1:2], earlier=Earlier(before[1:2, 1:], days[1:2, 1:]))
    torch.testing.assert_close(single.label_logits[0], out.label_logits[1])
    hidden = before.clone()
    hidden[1, 0] = math.nan
    torch.testing.assert_close(model("film", image, earlier=Earlier(hidden, days)).risk, out.risk)
    torch.testing.assert_close(model.embed("film", image, earlier=Earlier(before, days)), out.embedding)
    torch.testing.assert_close(out.features.tokens, alone.features.tokens)  # gates judge the image itself
    save(model, tmp_path)
    assert load(tmp_path).config.priors
    for images, ages in ((before, days[:, :1]), (before[:2], days[:2]), (before, -days)):
        with pytest.raises(BadInput, match="earlier image"):
            model("film", image, earlier=Earlier(images, ages))
    with pytest.raises(BadInput, match="reads no earlier images"):
        base("film", image, earlier=Earlier(before, days))


def test_missing_text_equals_image_only() -> None:
    model, image = tiny().eval(), torch.randn(2, 1, 16, 16)
    torch.nn.init.constant_(model.fusion.blocks["text"].gates, 0.7)
    alone = model("film", image)
    ids = torch.randint(2, 60, (2, 5))
    half = model("film", image, Tokens(ids, torch.tensor([[True] * 5, [False] * 5])))
    torch.testing.assert_close(half.label_logits[1], alone.label_logits[1])
    torch.testing.assert_close(half.mask_logits[1], alone.mask_logits[1])
    assert not torch.allclose(half.label_logits[0], alone.label_logits[0])
    torch.testing.assert_close(half.embedding, alone.embedding)  # the embedding is the image's own


def test_embed_and_encode_agree_with_the_whole() -> None:
    model, image = tiny().eval(), torch.randn(2, 1, 16, 16)
    whole = model("film", image)
    torch.testing.assert_close(model.embed("film", image), whole.embedding)
    torch.testing.assert_close(model.encode("film", image).pooled, whole.features.pooled)


def test_gradients_reach_every_weight_of_the_branch_and_no_other() -> None:
    model = tiny()
    torch.nn.init.constant_(model.fusion.blocks["text"].gates, 0.3)
    out = model("film", torch.randn(2, 1, 16, 16), words(2))
    pairs = out.embedding @ model.encode_text(*words(2)).T * model.scale.exp()
    (out.label_logits.square().sum() + out.mask_logits.square().mean() + pairs.square().sum()).backward()
    silent = {n for n, p in model.named_parameters() if p.grad is None or p.grad.abs().max() == 0}
    others = {n for n, _ in model.named_parameters() if n.startswith(("branches.scan", "branches.plain"))}
    assert silent == others | {"branches.film.encoder.trunk.pyramid.missing"}


def test_saved_and_loaded_is_the_same_to_the_bit(tmp_path: Path) -> None:
    model = tiny()
    model.tokenizer = train_tokenizer(["no nodule", "a nodule of 12 mm"], 300)
    digest = save(model, tmp_path)
    back = load(tmp_path)
    assert back.config == model.config
    assert back.digest == digest
    assert not back.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor.bfloat16().float()), name
    assert back.tokenizer is not None
    assert torch.equal(back.tokenizer(["nodule"], 9).ids, model.tokenizer(["nodule"], 9).ids)
    # what was rounded once does not change again
    again = tmp_path / "again"
    assert save(back, again) == digest
    image = torch.randn(1, 1, 16, 16)
    assert torch.equal(load(again)("film", image).label_logits, back("film", image).label_logits)


def test_digest_tells_another_model_apart(tmp_path: Path) -> None:
    model = tiny()
    first = save(model, tmp_path)
    with torch.no_grad():
        model.branches["film"].labels.bias[0] += 1
    assert save(model, tmp_path) != first


def test_damaged_models_are_one_line(tmp_path: Path) -> None:
    save(tiny(), tmp_path)
    path = tmp_path / "config.json"
    good = json.loads(path.read_text())
    wider = json.loads(path.read_text())
    wider["model"]["width"] = 24
    narrow = json.loads(path.read_text())
    narrow["model"]["branches"]["film"]["encoder"]["widths"] = [0, 16, 24]
    empty = json.loads(path.read_text())
    empty["model"]["branches"]["plain"]["encoder"] = {"kind": "vit", "widths": []}
    huge = json.loads(path.read_text())
    huge["model"]["branches"]["film"]["encoder"]["blocks"] = [1, 1, 1_000_000]
    for text, told in [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        (json.dumps({**good, "shards": {"model.bin": "0"}}), "are not there"),
        (json.dumps({"model": good["model"]}), "cannot be read"),
        (json.dumps(wider), "do not fit"),
        (json.dumps(narrow), "do not fit"),
        (json.dumps(empty), "do not fit"),
        (json.dumps(huge), r"blocks is \[1, 1, 1000000\]; expected at most 64"),
    ]:
        path.write_text(text)
        with pytest.raises(BadInput, match=told) as caught:
            load(tmp_path)
        assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(BadInput, match="cannot be read"):
        load(tmp_path)


def test_wrong_input_is_named() -> None:
    model = tiny(text=False)
    with pytest.raises(BadInput, match="no branch 'foot'; expected one of film, scan, plain"):
        model("foot", torch.zeros(1, 1, 8, 8))
    with pytest.raises(BadInput, match=r"shape \(1, 3, 8, 8\); expected \(B, 1, Y, X\)"):
        model("film", torch.zeros(1, 3, 8, 8))
    with pytest.raises(BadInput, match=r"expected \(B, 2, Z, Y, X\)"):
        model("scan", torch.zeros(1, 2, 8, 8))
    with pytest.raises(BadInput, match="no text encoder"):
        model.encode_text(*words(1))
    with pytest.raises(BadInput, match="no text encoder"):
        model("film", torch.zeros(1, 1, 8, 8), words(1))


def toy(rows: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Noise with a bright square in half of the pictures: image, label, mask."""
    random = torch.Generator().manual_seed(seed)
    image = 0.3 * torch.randn(rows, 1, 32, 32, generator=random)
    mask = torch.zeros(rows, 1, 32, 32)
    for row in range(0, rows, 2):
        y, x = torch.randint(0, 26, (2,), generator=random).tolist()
        mask[row, 0, y : y + 6, x : x + 6] = 1
    return image + mask, mask.amax((1, 2, 3))[:, None], mask


def test_learns_to_find_a_square() -> None:
    torch.manual_seed(0)
    branch = BranchConfig(PICTURE, ("square",), ("square",))
    model = Model(ModelConfig({"toy": branch}, width=16, embedding=8, heads=2))
    image, label, mask = toy(16, seed=0)

    def objective(batch: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        out = model("toy", batch[0], upsample=False)
        return {"label": label_loss(out.label_logits, batch[1]), "mask": mask_loss(out.mask_logits, batch[2])}

    fit(
        model,
        objective,
        lambda start: iter([(image, label, mask)] * (80 - start)),
        FitConfig(steps=80, learning_rate=1e-2, average=None),
    )
    new, truth, where = toy(16, seed=1)
    with torch.no_grad():
        out = model.eval()("toy", new)
    assert ((out.label_logits > 0) == (truth > 0)).float().mean() >= 0.9
    drawn = (out.mask_logits > 0).float()
    assert 2 * (drawn * where).sum() / (drawn.sum() + where.sum()) > 0.75


@pytest.mark.slow
def test_a_model_of_the_bundled_size_loads_within_a_second(tmp_path: Path) -> None:
    wide = VolumeConfig(widths=(32, 64, 128, 224), blocks=(0, 1, 1, 1), kernels=((3, 3, 3),) * 4,
                        strides=((2, 2, 2),) * 4)  # fmt: skip
    branches = {"film": BranchConfig(PictureConfig()), **{f"scan{i}": BranchConfig(wide) for i in range(3)}}
    save(Model(ModelConfig(branches, TextConfig())), tmp_path)
    assert all(path.stat().st_size < 16e6 for path in tmp_path.iterdir())
    start = time.process_time()
    load(tmp_path)
    assert time.process_time() - start < 1


def test_a_language_decoder_is_saved_with_the_model(tmp_path: Path) -> None:
    """It looks at the image, and writes after loading what it wrote before saving."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer(["no nodule. small effusion."] * 4, 320)
    config = ModelConfig(
        {"film": BranchConfig(PICTURE)}, TextConfig(tokenizer.size, 12, 1, 2), width=16, embedding=12,
        heads=2, language=LanguageConfig(tokenizer.size, 24, layers=2, heads=2),
    )  # fmt: skip
    model = Model(config, tokenizer).eval()
    with torch.no_grad():  # to what bfloat16 holds
        for parameter in model.parameters():
            parameter.copy_(parameter.bfloat16().float())
    save(model, tmp_path)
    again, image = load(tmp_path), torch.randn(2, 1, 16, 16)
    prompt = opened(tokenizer([None, "effusion?"], 9))
    made = []
    for each in (model, again):
        assert each.language is not None
        seen = each("film", image, tokenizer(["cough", None], 12)).features
        made.append(greedy(each.language, prompt, seen, end=tokenizer.end, most=8))
    assert torch.equal(made[0].text.ids, made[1].text.ids)
    torch.testing.assert_close(made[0].log_probability, made[1].log_probability)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_an_embedding_that_knows_the_masks_is_of_the_image_alone(
    fusion: Fusion,
) -> None:
    base = whole(fusion)
    torch.manual_seed(1)
    model = Model(replace(base.config, embed_masks=True)).eval()
    image = torch.randn(2, 1, 16, 16)
    alone = model.embed("film", image)
    for text in (None, words(2)):
        torch.testing.assert_close(model("film", image, text).embedding, alone)
    assert model.branch("film").project.in_features > base.branch("film").project.in_features
    with pytest.raises(BadInput, match="reads no text"):
        model.axes([("A nodule.", "No nodule.")])


def test_a_statement_and_its_denial_point_opposite_ways() -> None:
    text = TextConfig(300, 16, 1, 2)
    tokenizer = train_tokenizer(["A nodule.", "No nodule."] * 4, 300)
    torch.manual_seed(0)
    model = Model(ModelConfig({"film": BranchConfig(PICTURE)}, text, 16, 12, 2), tokenizer).eval()
    there, gone = "A nodule.", "No nodule."
    axes = model.axes([(there, gone), (gone, there)])
    torch.testing.assert_close(axes[0], -axes[1])
    shown = model.encode_text(*tokenizer([there], 16))
    assert model.asked(shown, axes)[0, 0] > 0 > model.asked(shown, axes)[0, 1]

"""How each device is used: which plan it gets, and that every part of a plan trains the same network."""

import resource
import subprocess
import sys
from textwrap import dedent
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from cellda.errors import ConfigurationError
from cellda.runtime.device import CPU, DevicePlan, device_named, plan_for
from cellda.training import loop
from cellda.training.examples import ImageExamples
from cellda.training.loop import PREDICTING, Trainer
from tiny import brightness_set, quick, small_net, state


def test_each_device_has_its_plan(monkeypatch) -> None:
    assert plan_for(torch.device("cpu")) == CPU
    assert CPU.precision == "no"
    assert CPU.compiler is None
    assert not CPU.pinned
    modern = plan_for(torch.device("cuda"), bf16=True)
    assert (modern.precision, modern.compiler, modern.pinned) == ("bf16", "inductor", True)
    old = plan_for(torch.device("cuda"), bf16=False)
    assert (old.precision, old.compiler, old.pinned) == ("no", "inductor", True)
    for able in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, able=able: able)
        assert plan_for(torch.device("cuda:1")) == (modern if able else old)
    assert plan_for(torch.device("mps")) == DevicePlan()


def test_a_device_that_is_not_there_is_refused_with_those_that_are(monkeypatch) -> None:
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: None)
    with pytest.raises(ConfigurationError, match=r"There is no device 'gpu' here; use one .* has: cpu\.$"):
        device_named("gpu")
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    with pytest.raises(ConfigurationError, match=r"has: cpu, cuda, cuda:0, cuda:1\.$"):
        device_named("gpu")


def test_a_gpu_gets_its_plan(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr(loop, "PartialState", lambda cpu: SimpleNamespace(device=torch.device("cuda")))
    assert Trainer("auto").plan == plan_for(torch.device("cuda"), bf16=True)


@pytest.mark.parametrize("own", [False, True])
def test_convolutions_are_autotuned_while_training_and_predicting_and_the_setting_put_back(
    monkeypatch, own
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", own)
    seen = []

    class Looks(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = small_net()

        def forward(self, images):
            seen.append(torch.backends.cudnn.benchmark)
            return self.net(images)

        def for_inference(self):
            return self

    trainer, net = Trainer("cpu"), Looks()
    trainer.fit(net, ImageExamples(brightness_set()), quick(bn="train"), seed=0)
    assert torch.backends.cudnn.benchmark is own
    trained = len(seen)
    trainer.map(net, brightness_set(), lambda model, raw: model(raw / 255), PREDICTING)
    assert len(seen) > trained > 0
    assert all(seen)
    assert torch.backends.cudnn.benchmark is own


def trained(plan: DevicePlan, **fields: object) -> tuple[list[float], dict[str, torch.Tensor]]:
    net = small_net()
    losses = Trainer("cpu", plan).fit(net, ImageExamples(brightness_set()), quick(**fields), seed=0)
    return losses, state(net)


@pytest.mark.parametrize("bn", ["frozen", "train"])
def test_compiled_training_is_the_same_training(monkeypatch, bn) -> None:
    wanted = trained(CPU, bn=bn)
    compiled = []
    own = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda module, backend: (compiled.append(backend), own(module, backend=backend))[1]
    )
    # 24 images in batches of 8, two epochs: six steps
    assert trained(DevicePlan(compiler="eager", compile_from=7), bn=bn)[0] == wanted[0]
    assert compiled == []
    losses, weights = trained(DevicePlan(compiler="eager", compile_from=6), bn=bn)
    assert compiled == ["eager"]
    assert losses == pytest.approx(wanted[0], rel=1e-4)
    for name, value in wanted[1].items():
        torch.testing.assert_close(weights[name], value, atol=1e-4, rtol=1e-3)


COMPILED = DevicePlan(compiler="eager", compile_from=0)


@pytest.mark.parametrize(
    ("bn", "before", "after"),
    [
        ("train", COMPILED, COMPILED),
        ("train", COMPILED, CPU),
        ("train", CPU, COMPILED),
        ("frozen", CPU, COMPILED),
        ("frozen", COMPILED, CPU),
    ],
)
def test_a_training_that_was_interrupted_goes_on_under_any_plan(
    tmp_path, monkeypatch, bn, before, after
) -> None:
    whole = trained(before, epochs=3, bn=bn)
    keep = loop.checkpoint

    def stop(accelerator, folder, epoch):
        keep(accelerator, folder, epoch)
        if epoch == 2:
            raise KeyboardInterrupt

    examples, settings, folder = ImageExamples(brightness_set()), quick(epochs=3, bn=bn), tmp_path / "kept"
    monkeypatch.setattr(loop, "checkpoint", stop)
    with pytest.raises(KeyboardInterrupt):
        Trainer("cpu", before).fit(small_net(), examples, settings, seed=0, checkpoints=folder)
    monkeypatch.setattr(loop, "checkpoint", keep)
    net = small_net()
    resumed = Trainer("cpu", after).fit(net, examples, settings, seed=0, checkpoints=folder)
    assert resumed == pytest.approx(whole[0], rel=1e-4)
    for name, value in whole[1].items():
        torch.testing.assert_close(state(net)[name], value, atol=1e-4, rtol=1e-3)


def test_pinned_batches_are_asked_for_where_the_plan_says_so(monkeypatch) -> None:
    asked: list[bool] = []

    def loader(*args, pin_memory, **options):
        asked.append(pin_memory)
        return DataLoader(*args, **options)

    monkeypatch.setattr(loop, "DataLoader", loader)
    pinned: list[int] = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: (pinned.append(len(self)), self)[1])
    plan = DevicePlan(pinned=True, inference_batch=10)
    assert trained(plan)[0] == trained(CPU)[0]
    assert asked == [True, False]

    class Judge(nn.Module):
        def for_inference(self):
            return self

    def colours(_, raw):
        return raw.float().mean((2, 3))

    found = Trainer("cpu", plan).map(Judge(), brightness_set(), colours, PREDICTING)
    assert pinned == [10, 10, 4]
    torch.testing.assert_close(found, brightness_set().pixels.float().mean((2, 3)))


def test_bfloat16_training_learns_the_same_and_leaves_the_module_in_float32() -> None:
    # A rate at which a rounding does not grow: at 1e-2, some processors leave this course in the fourth epoch.
    wanted = trained(CPU, epochs=4, lr=1e-3)[0]
    net = small_net()
    examples = ImageExamples(brightness_set())
    found = Trainer("cpu", DevicePlan(precision="bf16")).fit(net, examples, quick(epochs=4, lr=1e-3), seed=0)
    assert found == pytest.approx(wanted, rel=0.02)
    assert found != wanted
    assert "forward" not in vars(net)
    assert net(torch.rand(2, 3, 16, 16)).dtype is torch.float32
    assert trained(CPU, epochs=4, lr=1e-3)[0] == wanted  # another precision, in the same process


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's settings exist on Linux only")
def test_freed_memory_is_used_again_without_asking_the_system() -> None:
    code = """
        import resource, sys, torch
        from cellda.runtime.memory import keep_freed_memory
        kept = len(sys.argv) > 1 and keep_freed_memory()
        def step():
            blocks = [torch.ones(2_000_000) for _ in range(12)] + [torch.ones(12_000_000)]
        for _ in range(3):
            step()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        step()
        print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    """

    def faults(*arguments: str) -> tuple[bool, int]:
        done = subprocess.run(
            [sys.executable, "-c", dedent(code), *arguments], capture_output=True, text=True, check=True
        )
        kept, number = done.stdout.split()
        return kept == "True", int(number)

    kept, few = faults("keep")
    if not kept:
        pytest.skip("the C library of this machine is not glibc")
    pages = 36_000_000 * 4 // resource.getpagesize()
    assert few < pages / 100
    assert faults()[1] > pages / 10

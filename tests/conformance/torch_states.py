#!/usr/bin/env python3
"""Writes states of torch.optim optimizers in mid-training, for a test that
imports one and goes on from it.

  torch_states.py OUTDIR

Trains a tiny module STEPS steps with AdamW or Muon and writes, for each with
and without parameter names in its groups, NAME.pt, the optimizer's state_dict()
as torch.save writes it, and NAME.json:

  {"schema": 1, "optimizer": "AdamW", "torch": "2.13.0", "dtype": "float32",
   "named": true, "step": 5,
   "rule": "adamw", "parameters": [{"name", "shape", "group", "has_state",
                   "options": {...}, "w": [...]}, ...],
   "later": [{"gradients": {NAME: [...]}, "w": {NAME: [...]},
              "w_float64": {NAME: [...]}}, ...]}

"parameters" are in the order of the state's indices, with their weights at
"step" and their rule's options in muonlab's names. "later" has the next steps:
the gradients (of `spare` there is none: it was never used and has no state), W
as torch computed it, and W as the formula gives it in float64 from the same
state. They differ by more than rounding for Muon alone, whose Newton-Schulz is
in bfloat16 in torch. Each state is read back and continued before the program
ends. Exit code 77: torch is not installed.
"""

import pathlib
import sys

import suite

try:
    import torch
except ImportError:
    print("skipped: the Python package torch is not installed")
    sys.exit(77)

STEPS, LATER = 5, 4

RULES = {"AdamW": "adamw", "Muon": "torch-muon"}
ADAMW = {"beta1": 0.9, "beta2": 0.95, "eps": 1e-8}
MUON = {"momentum": 0.95, "nesterov": True, "polar_steps": 5,
        "polar_eps": 1e-7}
# NAME: the options of its groups and the parameters in them.
GROUPS = {
    "AdamW": [(ADAMW | {"lr": 3e-3, "weight_decay": 0.1},
               ["first.weight", "second.weight", "spare"]),
              (ADAMW | {"lr": 1e-3, "weight_decay": 0.0},
               ["first.bias", "second.bias"])],
    "Muon": [(MUON | {"lr": 2e-2, "weight_decay": 0.1, "scale": "s2"},
              ["first.weight", "spare"]),
             (MUON | {"lr": 5e-3, "weight_decay": 0.01, "scale": "s4",
                      "nesterov": False},
              ["second.weight"])],
}


def make_module():
    torch.manual_seed(1)
    module = torch.nn.Module()
    module.first = torch.nn.Linear(4, 7)
    module.second = torch.nn.Linear(7, 3)
    module.spare = torch.nn.Parameter(torch.randn(2, 3))
    return module


def loss_of(module, step):
    source = torch.Generator().manual_seed(100 + step)
    x = torch.randn(16, 4, generator=source)
    y = torch.randn(16, 3, generator=source)
    return (module.second(torch.tanh(module.first(x))) - y).square().mean()


def make_optimizer(name, parameters, named):
    groups = []
    for o, members in GROUPS[name]:
        group = {"lr": o["lr"], "weight_decay": o["weight_decay"],
                 "params": [(p, parameters[p]) if named else parameters[p]
                            for p in members]}
        if name == "AdamW":
            group |= {"betas": (o["beta1"], o["beta2"]), "eps": o["eps"]}
        else:
            group |= {"momentum": o["momentum"], "nesterov": o["nesterov"],
                      "adjust_lr_fn": {"s2": "original",
                                       "s4": "match_rms_adamw"}[o["scale"]]}
        groups.append(group)
    return getattr(torch.optim, name)(groups)


def lists(parameters, names):
    return {name: parameters[name].detach().flatten().tolist()
            for name in names}


# The formulas in float64, from a state of torch's.

def adamw_step(w, g, s, o):
    s["step"] += 1
    s["exp_avg"] = o["beta1"] * s["exp_avg"] + (1 - o["beta1"]) * g
    s["exp_avg_sq"] = o["beta2"] * s["exp_avg_sq"] + (1 - o["beta2"]) * g * g
    m = s["exp_avg"] / (1 - o["beta1"] ** s["step"])
    v = s["exp_avg_sq"] / (1 - o["beta2"] ** s["step"])
    return (1 - o["lr"] * o["weight_decay"]) * w - o["lr"] * m / (
        v.sqrt() + o["eps"])


def muon_step(w, g, s, o):
    b, (rows, columns) = o["momentum"], w.shape
    s["momentum_buffer"] = b * s["momentum_buffer"] + (1 - b) * g
    d = s["momentum_buffer"]
    if o["nesterov"]:
        d = (1 - b) * g + b * d
    x = d / max(d.norm().item(), o["polar_eps"])
    if rows > columns:
        x = x.T
    for _ in range(o["polar_steps"]):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    if rows > columns:
        x = x.T
    scale = (max(1, rows / columns) ** 0.5 if o["scale"] == "s2"
             else 0.2 * max(rows, columns) ** 0.5)
    return (1 - o["lr"] * o["weight_decay"]) * w - o["lr"] * scale * x


def float64_steps(name, content, state):
    """Adds w_float64 to each later step."""
    step = adamw_step if name == "AdamW" else muon_step
    w, s = {}, {}
    for index, p in enumerate(content["parameters"]):
        w[p["name"]] = torch.tensor(p["w"], dtype=torch.float64).reshape(
            p["shape"])
        s[p["name"]] = {key: value.double()
                        for key, value in state["state"].get(index, {}).items()}
    options = {p["name"]: p["options"] for p in content["parameters"]}
    for later in content["later"]:
        for key, values in later["gradients"].items():
            g = torch.tensor(values, dtype=torch.float64).reshape(w[key].shape)
            w[key] = step(w[key], g, s[key], options[key])
        later["w_float64"] = lists(w, w)


def write_state(folder, name, named):
    module = make_module()
    parameters = dict(module.named_parameters())
    optimizer = make_optimizer(name, parameters, named)
    order = [member for _, members in GROUPS[name] for member in members]
    later, content = [], None
    for step in range(1, STEPS + LATER + 1):
        optimizer.zero_grad()
        loss_of(module, step).backward()
        gradients = {key: parameters[key].grad.flatten().tolist()
                     for key in order if parameters[key].grad is not None}
        optimizer.step()
        if step > STEPS:
            later.append({"gradients": gradients,
                          "w": lists(parameters, order)})
        if step == STEPS:
            file = folder / f"{name.lower()}{'-named' if named else ''}.pt"
            torch.save(optimizer.state_dict(), file)
            content = {
                "schema": suite.SCHEMA, "optimizer": name,
                "torch": torch.__version__.split("+")[0], "dtype": "float32",
                "named": named, "step": step, "rule": RULES[name],
                "parameters": [
                    {"name": key, "shape": list(parameters[key].shape),
                     "group": group, "has_state": key in gradients,
                     "options": options, "w": lists(parameters, [key])[key]}
                    for group, (options, members) in enumerate(GROUPS[name])
                    for key in members]}
    content["later"] = later
    float64_steps(name, content, torch.load(file, weights_only=True))
    suite.write(file.with_suffix(".json"), content)
    return file


def check(file):
    """The state read back and continued: torch's own steps must come out bit
    for bit, the formula's to within rounding, or bfloat16's for Muon. Returns
    the formula's largest difference, relative to the step."""
    content = suite.load(file.with_suffix(".json"))
    name = content["optimizer"]
    parameters = {p["name"]: torch.nn.Parameter(
        torch.tensor(p["w"]).reshape(p["shape"]))
        for p in content["parameters"]}
    optimizer = make_optimizer(name, parameters, content["named"])
    state = torch.load(file, weights_only=True)
    optimizer.load_state_dict(state)
    names = [key for group in state["param_groups"]
             for key in group.get("param_names", [])]
    assert names == (list(parameters) if content["named"] else []), names
    for index, p in enumerate(content["parameters"]):
        assert (index in state["state"]) == p["has_state"], p["name"]
    worst, start = 0.0, {p["name"]: p["w"] for p in content["parameters"]}
    for later in content["later"]:
        for key, values in later["gradients"].items():
            parameters[key].grad = torch.tensor(values).reshape(
                parameters[key].shape)
        optimizer.step()
        assert lists(parameters, parameters) == later["w"], file
        for key in later["gradients"]:
            w, exact, before = (
                torch.tensor(x[key], dtype=torch.float64)
                for x in (later["w"], later["w_float64"], start))
            worst = max(worst, ((w - exact).norm() /
                                (exact - before).norm()).item())
    assert worst < (1e-4 if name == "AdamW" else 0.1), f"{file}: {worst}"
    return worst


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    torch.set_num_threads(1)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in GROUPS:
        for named in (False, True):
            file = write_state(folder, name, named)
            print(f"{file}: continued bit for bit; float64 differs by "
                  f"{check(file):.1e} of the update")
    return 0


if __name__ == "__main__":
    sys.exit(main())

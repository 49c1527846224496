#include "muonlab/train/run_config.h"

#include <torch/version.h>

#include <algorithm>
#include <cmath>

#include "muonlab/core/error.h"
#include "muonlab/core/hash.h"
#include "muonlab/core/text.h"
#include "muonlab/kernels/simd_level.h"
#include "muonlab/linalg/matmul.h"
#include "muonlab/linalg/packed_polar.h"
#include "muonlab/optim/presets.h"

namespace muonlab::train {

namespace {

// Raised by hand when a change alters the numbers of a run.
constexpr int kNumericsVersion = 4;

void add_model_fields(nn::ModelConfig& m, Fields& f) {
  f.add("model.vocabulary", &m.vocabulary,
        "tokens; 0: as the dataset's tokenizer has");
  f.add("model.context", &m.context, "tokens per sequence");
  f.add("model.width", &m.width, "features of the residual stream");
  f.add("model.layers", &m.layers, "blocks");
  f.add("model.heads", &m.heads, "attention heads; must divide the width");
  f.add("model.hidden", &m.hidden, "features inside the feed-forward");
  f.add("model.activation", &m.activation,
        "swiglu, geglu, silu, gelu or relu2");
  f.add(
      "model.positions", &m.positions,
      "rotary (half-split), none, or rotary_by_head (a published mistake that "
      "equals none; plain layers only)");
  f.add("model.rope_theta", &m.rope_theta, "base of the rotary frequencies");
  f.add("model.qk_norm", &m.qk_norm,
        "divide each head's queries and keys by their root mean square");
  f.add("model.tied_head", &m.tied_head, "the head is the embedding matrix");
  f.add("model.norm_eps", &m.norm_eps, "inside RMSNorm's square root");
  f.add("model.scale_attention_by_layer", &m.scale_attention_by_layer,
        "divide the logits of layer l by l + 1");
  f.add("model.scale_embedding", &m.scale_embedding,
        "multiply embedded tokens by sqrt(width)");
  f.add("model.dropout", &m.dropout,
        "share of values set to zero in training; plain layers only");
  f.add("model.init_matrix_std", &m.init_matrix_std,
        "standard deviation of all matrices of the blocks; not set: by gain");
  f.add("model.init_gain", &m.init_gain,
        "matrices start as N(0, gain/sqrt(fan_in))");
  f.add("model.init_output_gain", &m.init_output_gain,
        "same for output projections; 0: they start at zero");
  f.add("model.init_embedding_std", &m.init_embedding_std,
        "standard deviation of the embedding");
  f.add("model.init_head_std", &m.init_head_std,
        "standard deviation of the head");
}

void add_optim_fields(OptimConfig& o, Fields& f) {
  f.add("optim.rule", &o.rule,
        "rule of the hidden matrices: see `muonlab optim list`");
  f.add("optim.lr", &o.lr, "peak learning rate of the hidden matrices");
  f.add("optim.weight_decay", &o.weight_decay,
        "their decay; optim.decay says how it enters");
  f.add("optim.blocks", &o.blocks,
        "fused weights as parts, heads (a matrix each) or whole");
  o.options.add_fields("optim", f);
  f.add("optim.auxiliary.rule", &o.auxiliary_rule,
        "rule of embedding, head and gains");
  f.add("optim.auxiliary.lr", &o.auxiliary_lr, "their peak rate");
  f.add("optim.auxiliary.weight_decay", &o.auxiliary_weight_decay,
        "their decay");
  o.auxiliary_options.add_fields("optim.auxiliary", f);
  for (auto& [name, group] : o.groups) {
    const std::string prefix = "optim.groups." + name;
    f.add(prefix + ".pattern", &group.pattern,
          "parameters of this group, by name");
    f.add(prefix + ".rule", &group.rule, "their rule");
    f.add(prefix + ".lr", &group.lr, "their peak rate");
    f.add(prefix + ".weight_decay", &group.weight_decay, "their decay");
    group.options.add_fields(prefix, f);
  }
}

// [optim.groups.NAME] makes the group: its fields are there from then on.
void make_group(std::string_view key, RunConfig& config) {
  constexpr std::string_view kPrefix = "optim.groups.";
  if (key.substr(0, kPrefix.size()) != kPrefix) return;
  const std::string_view rest = key.substr(kPrefix.size());
  const auto dot = rest.find('.');
  if (dot == std::string_view::npos || dot == 0) return;
  config.optim.groups[std::string(rest.substr(0, dot))];
}

void check_at_least(std::int64_t value, std::int64_t least, const char* key) {
  MUONLAB_CHECK(value >= least, key, ": got ", value, ", expected ", least,
                " or more");
}

void check_share(double value, const char* key) {
  MUONLAB_CHECK(value >= 0 && value <= 1, key, ": got ", value,
                ", expected 0 to 1");
}

}  // namespace

Fields fields_of(RunConfig& c) {
  Fields f;
  f.add("data.path", &c.data_path, "folder made by `muonlab data prepare`");
  f.add("data.split", &c.data_split,
        "documents, or windows (leaky: held-out tokens are trained on)");
  add_model_fields(c.model, f);
  add_optim_fields(c.optim, f);
  f.add("schedule.shape", &c.schedule_shape,
        core::join(optim::schedule_shape_names(), ", "));
  f.add("schedule.warmup", &c.schedule_warmup, "share of the steps");
  f.add("schedule.decay", &c.schedule_decay,
        "trapezoid: share of the steps, at the end");
  f.add("schedule.floor", &c.schedule_floor, "share of the peak rate");
  f.add("schedule.length", &c.schedule_length,
        "of the schedule, in multiples of the run's steps; above 1 it does not "
        "end");
  f.add("schedule.from_zero", &c.schedule_from_zero,
        "the warm-up's first step has rate 0");
  f.add("schedule.momentum_start", &c.momentum_start,
        "matrix rules: momentum at the first step of its warm-up");
  f.add("schedule.momentum_warmup", &c.momentum_warmup,
        "share of the steps until the rule's own momentum is reached");
  f.add("train.steps", &c.steps, "optimizer steps");
  f.add("train.batch", &c.batch, "sequences per optimizer step");
  f.add("train.accumulation", &c.accumulation,
        "micro-batches per optimizer step; must divide the batch");
  f.add("train.clip", &c.clip,
        "largest gradient norm, before momentum; 0: no clipping");
  f.add("train.seed", &c.seed, "of initial weights and data order");
  f.add("train.stop_ratio", &c.stop_ratio,
        "stop as diverged when the loss stays above this times its lowest; 0: "
        "never");
  f.add("train.stop_after", &c.stop_after, "steps before that is looked at");
  f.add("train.stop_patience", &c.stop_patience,
        "steps in a row that it takes");
  f.add("train.layers", &c.layers,
        "fused (our CPU kernels) or plain (LibTorch's operators)");
  f.add("train.precision", &c.precision,
        "float32, or bfloat16: operands of products, with float32 weights and "
        "sums; fused layers only");
  f.add("train.checkpointing", &c.checkpointing,
        "compute a block's inner values again on the way back: less memory, "
        "more work; fused layers only");
  f.add("train.threads", &c.threads, "of LibTorch; 0: its own choice");
  f.add("train.log_every", &c.log_every, "steps between progress lines");
  f.add("eval.split", &c.eval_split, "held-out half: selection or reporting");
  f.add("eval.windows", &c.eval_windows,
        "windows of `context` tokens; 0: all, at most 1024");
  f.add("eval.every", &c.eval_every, "steps; 0: at the end only");
  f.add("diagnostics.every", &c.diagnostics_every,
        "steps between RMS, ratio and angle of each update; 0: never");
  f.add("diagnostics.spectra_every", &c.spectra_every,
        "steps between singular values and the like; 0: never");
  f.add("diagnostics.spectra", &c.spectra,
        "matrices that have spectra taken, by name pattern");
  return f;
}

RunConfig read_run_config(const std::filesystem::path& path,
                          const std::vector<std::string>& overrides,
                          const std::string& skip) {
  RunConfig config;
  const TomlFile file = read_toml(path);
  for (const TomlFile::Entry& entry : file.entries) {
    make_group(entry.key, config);
  }
  for (const std::string& text : overrides) make_group(text, config);
  Fields fields = fields_of(config);
  for (const TomlFile::Entry& entry : file.entries) {
    if (!skip.empty() &&
        (entry.key == skip || entry.key.rfind(skip + ".", 0) == 0)) {
      continue;
    }
    fields.set(entry.key, entry.value, concat(path.string(), ":", entry.line));
  }
  for (const std::string& text : overrides) fields.set_override(text);
  return config;
}

void resolve(RunConfig& c) {
  MUONLAB_CHECK(!c.data_path.empty(),
                "data.path: not set, expected a folder made by `muonlab data "
                "prepare`");
  check_at_least(c.steps, 1, "train.steps");
  check_at_least(c.batch, 1, "train.batch");
  check_at_least(c.accumulation, 1, "train.accumulation");
  check_at_least(c.seed, 0, "train.seed");
  check_at_least(c.threads, 0, "train.threads");
  check_at_least(c.log_every, 1, "train.log_every");
  check_at_least(c.eval_windows, 0, "eval.windows");
  check_at_least(c.eval_every, 0, "eval.every");
  MUONLAB_CHECK(c.data_split == "documents" || c.data_split == "windows",
                "data.split: got '", c.data_split,
                "', expected documents or windows");
  MUONLAB_CHECK(c.schedule_length >= 1 && c.schedule_length <= 1000,
                "schedule.length: got ", c.schedule_length,
                ", expected 1 to 1000");
  MUONLAB_CHECK(c.stop_ratio == 0 || c.stop_ratio > 1, "train.stop_ratio: got ",
                c.stop_ratio, ", expected 0 or more than 1");
  check_at_least(c.stop_after, 0, "train.stop_after");
  check_at_least(c.stop_patience, 1, "train.stop_patience");
  check_share(c.schedule_warmup, "schedule.warmup");
  check_share(c.schedule_decay, "schedule.decay");
  MUONLAB_CHECK(c.batch % c.accumulation == 0, "train.accumulation: got ",
                c.accumulation, ", expected a divisor of batch ", c.batch);
  MUONLAB_CHECK(c.clip >= 0 && std::isfinite(c.clip), "train.clip: got ",
                c.clip, ", expected 0 or more");
  MUONLAB_CHECK(c.eval_split == "selection" || c.eval_split == "reporting",
                "eval.split: got '", c.eval_split,
                "', expected selection or reporting");
  MUONLAB_CHECK(c.momentum_start.has_value() == c.momentum_warmup.has_value(),
                "schedule.momentum_start and schedule.momentum_warmup: got one "
                "of them, expected both or none");
  if (c.momentum_start) {
    MUONLAB_CHECK(*c.momentum_start >= 0 && *c.momentum_start < 1,
                  "schedule.momentum_start: got ", *c.momentum_start,
                  ", expected at least 0 and less than 1");
    check_share(*c.momentum_warmup, "schedule.momentum_warmup");
  }
  MUONLAB_CHECK(c.layers == "fused" || c.layers == "plain",
                "train.layers: got '", c.layers, "', expected fused or plain");
  const nn::FusedOptions fused = fused_options(c);
  MUONLAB_CHECK(c.layers == "plain" || (c.model.dropout == 0 &&
                                        c.model.positions != "rotary_by_head"),
                "train.layers: got fused with ",
                c.model.dropout > 0 ? "model.dropout" : "rotary_by_head",
                ", which only the plain layers have; expected plain");
  if (c.layers == "plain") {
    MUONLAB_CHECK(fused.precision == nn::Precision::kFloat32,
                  "train.precision: got ", c.precision,
                  " with train.layers = plain, expected float32 there");
    MUONLAB_CHECK(!c.checkpointing,
                  "train.checkpointing: got true with train.layers = plain, "
                  "expected false there");
  }
  check_at_least(c.diagnostics_every, 0, "diagnostics.every");
  check_at_least(c.spectra_every, 0, "diagnostics.spectra_every");
  MUONLAB_CHECK(c.optim.blocks == "parts" || c.optim.blocks == "heads" ||
                    c.optim.blocks == "whole",
                "optim.blocks: got '", c.optim.blocks,
                "', expected parts, heads or whole");
  const optim::GroupOptions hidden = hidden_options(c.optim);
  c.optim.lr = hidden.lr();
  c.optim.weight_decay = hidden.weight_decay();
  c.optim.options.fill(option_values(hidden.update()));
  c.optim.auxiliary_options.fill(
      option_values(auxiliary_options(c.optim).update()));
  for (const auto& [name, group] : c.optim.groups) {
    MUONLAB_CHECK(!group.pattern.empty(), "optim.groups.", name,
                  ".pattern: not set, expected a pattern of parameter names");
  }
  (void)schedule_of(c);
}

optim::GroupOptions hidden_options(const OptimConfig& c) {
  optim::GroupOptions options = optim::preset(c.rule);
  if (c.lr) options.lr(*c.lr);
  if (c.weight_decay) options.weight_decay(*c.weight_decay);
  set_options(options.update(), c.options.given(), "optim.");
  validate(options, "optim");
  return options;
}

optim::GroupOptions auxiliary_options(const OptimConfig& c) {
  optim::GroupOptions options = optim::preset(c.auxiliary_rule);
  options.lr(c.auxiliary_lr).weight_decay(c.auxiliary_weight_decay);
  set_options(options.update(), c.auxiliary_options.given(),
              "optim.auxiliary.");
  validate(options, "optim.auxiliary");
  return options;
}

optim::Schedule schedule_of(const RunConfig& c) {
  const std::int64_t total =
      std::llround(c.schedule_length * static_cast<double>(c.steps));
  const auto steps = [&](double share) {
    return static_cast<std::int64_t>(
        std::llround(share * static_cast<double>(total)));
  };
  const auto shape = optim::schedule_shape_from_name(c.schedule_shape);
  const std::int64_t warmup = steps(c.schedule_warmup);
  std::int64_t decay = 0;
  if (shape == optim::ScheduleShape::kTrapezoid) {
    decay = steps(c.schedule_decay);
    // Both shares rounded up may come to one step too many.
    if (c.schedule_warmup + c.schedule_decay <= 1) {
      decay = std::min(decay, total - warmup);
    }
  }
  const optim::Schedule schedule{.shape = shape,
                                 .total = total,
                                 .warmup = warmup,
                                 .decay = decay,
                                 .floor = c.schedule_floor,
                                 .warmup_from_zero = c.schedule_from_zero};
  validate(schedule);
  return schedule;
}

nn::FusedOptions fused_options(const RunConfig& c) {
  try {
    return {.precision = nn::precision_from_name(c.precision),
            .checkpointing = c.checkpointing};
  } catch (const Error& error) {
    throw Error(error.kind(), concat("train.", error.what()));
  }
}

std::string run_identity(RunConfig config, const std::string& dataset_hash) {
  config.data_path.clear();  // the dataset is known by its content
  config.log_every = 1;
  config.diagnostics_every = 0;  // what is watched changes no number
  config.spectra_every = 0;
  config.spectra = "*";
  const std::string_view layers =
      config.layers == "fused"
          ? kernels::simd_level_name(kernels::active_simd_level())
          : std::string_view("aten");
  const formats::Json identity = {{"config", fields_of(config).to_json()},
                                  {"dataset", dataset_hash},
                                  {"numerics", kNumericsVersion},
                                  {"libtorch", TORCH_VERSION},
                                  {"f32_products", linalg::matmul_backend()},
                                  {"polar", linalg::polar_backend()},
                                  {"layers", layers}};
  return core::sha256_hex(identity.dump());
}

}  // namespace muonlab::train

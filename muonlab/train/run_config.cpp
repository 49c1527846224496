#include "muonlab/train/run_config.h"

#include <torch/version.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "muonlab/core/error.h"
#include "muonlab/core/hash.h"
#include "muonlab/core/text.h"
#include "muonlab/linalg/matmul.h"
#include "muonlab/optim/presets.h"

namespace muonlab::train {

namespace {

// Raised by hand when a change alters the numbers of a run.
constexpr int kNumericsVersion = 1;

void add_model_fields(nn::ModelConfig& m, Fields& f) {
  f.add("model.vocabulary", &m.vocabulary,
        "tokens; 0: as the dataset's tokenizer has");
  f.add("model.context", &m.context, "tokens per sequence");
  f.add("model.width", &m.width, "features of the residual stream");
  f.add("model.layers", &m.layers, "blocks");
  f.add("model.heads", &m.heads, "attention heads; must divide the width");
  f.add("model.hidden", &m.hidden, "features inside the feed-forward");
  f.add("model.activation", &m.activation, "swiglu or silu");
  f.add("model.positions", &m.positions, "rotary (half-split) or none");
  f.add("model.rope_theta", &m.rope_theta, "base of the rotary frequencies");
  f.add("model.tied_head", &m.tied_head, "the head is the embedding matrix");
  f.add("model.norm_eps", &m.norm_eps, "inside RMSNorm's square root");
  f.add("model.scale_attention_by_layer", &m.scale_attention_by_layer,
        "divide the logits of layer l by l + 1");
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
        "rule of the hidden matrices: " +
            core::join(optim::preset_names(), ", "));
  f.add("optim.lr", &o.lr, "peak learning rate of the hidden matrices");
  f.add("optim.weight_decay", &o.weight_decay,
        "decoupled: a step shrinks weights by lr * weight_decay");
  f.add("optim.momentum", &o.momentum, "matrix rules: in [0, 1)");
  f.add("optim.momentum_form", &o.momentum_form,
        "matrix rules: ema or heavy-ball");
  f.add("optim.nesterov", &o.nesterov, "matrix rules: look ahead");
  f.add("optim.scale", &o.scale,
        "matrix rules: " + core::join(optim::scale_names(), ", "));
  f.add("optim.polar_method", &o.polar_method,
        "matrix rules: newton-schulz or svd");
  f.add("optim.polar_coefficients", &o.polar_coefficients,
        "matrix rules: " + core::join(quintic_names(), ", "));
  f.add("optim.polar_steps", &o.polar_steps, "matrix rules: 1 to 100");
  f.add("optim.beta1", &o.beta1, "adamw: decay of the first moment");
  f.add("optim.beta2", &o.beta2, "adamw: decay of the second moment");
  f.add("optim.eps", &o.eps, "adamw: added to the root of the second moment");
  f.add("optim.auxiliary.lr", &o.auxiliary_lr,
        "AdamW's peak rate for embedding, head and gains");
  f.add("optim.auxiliary.weight_decay", &o.auxiliary_weight_decay,
        "decoupled decay of these");
  f.add("optim.auxiliary.beta1", &o.auxiliary_beta1, "first moment");
  f.add("optim.auxiliary.beta2", &o.auxiliary_beta2, "second moment");
  f.add("optim.auxiliary.eps", &o.auxiliary_eps, "epsilon");
}

void check_at_least(std::int64_t value, std::int64_t least, const char* key) {
  MUONLAB_CHECK(value >= least, key, ": got ", value, ", expected ", least,
                " or more");
}

void check_share(double value, const char* key) {
  MUONLAB_CHECK(value >= 0 && value <= 1, key, ": got ", value,
                ", expected 0 to 1");
}

optim::MomentumForm momentum_form(const std::string& name) {
  if (name == "ema") return optim::MomentumForm::kEma;
  if (name == "heavy-ball") return optim::MomentumForm::kHeavyBall;
  throw Error(ErrorKind::kInvalidArgument,
              concat("optim.momentum_form: got '", name,
                     "', expected ema or heavy-ball"));
}

PolarMethod polar_method(const std::string& name) {
  if (name == "newton-schulz") return PolarMethod::kNewtonSchulz;
  if (name == "svd") return PolarMethod::kSvd;
  throw Error(ErrorKind::kInvalidArgument,
              concat("optim.polar_method: got '", name,
                     "', expected newton-schulz or svd"));
}

void refuse(bool set, const char* key, const std::string& rule) {
  MUONLAB_CHECK(!set, "optim.", key, ": rule '", rule,
                "' has no such option; remove the key");
}

// Takes what is set; `fill` then shows what the preset left as it was.
void override_rule(optim::MatrixRule& rule, const OptimConfig& c) {
  refuse(c.beta1.has_value(), "beta1", c.rule);
  refuse(c.beta2.has_value(), "beta2", c.rule);
  refuse(c.eps.has_value(), "eps", c.rule);
  if (c.momentum) rule.momentum = *c.momentum;
  if (c.momentum_form) rule.momentum_form = momentum_form(*c.momentum_form);
  if (c.nesterov) rule.nesterov = *c.nesterov;
  if (c.scale) rule.scale = optim::scale_from_name(*c.scale);
  if (c.polar_method) rule.polar.method = polar_method(*c.polar_method);
  if (c.polar_coefficients) rule.polar.coefficients = *c.polar_coefficients;
  if (c.polar_steps) {
    check_at_least(*c.polar_steps, 1, "optim.polar_steps");
    rule.polar.steps = static_cast<int>(std::min<std::int64_t>(
        *c.polar_steps, std::numeric_limits<int>::max()));
  }
}

void override_rule(optim::AdamWRule& rule, const OptimConfig& c) {
  refuse(c.momentum.has_value(), "momentum", c.rule);
  refuse(c.momentum_form.has_value(), "momentum_form", c.rule);
  refuse(c.nesterov.has_value(), "nesterov", c.rule);
  refuse(c.scale.has_value(), "scale", c.rule);
  refuse(c.polar_method.has_value(), "polar_method", c.rule);
  refuse(c.polar_coefficients.has_value(), "polar_coefficients", c.rule);
  refuse(c.polar_steps.has_value(), "polar_steps", c.rule);
  if (c.beta1) rule.beta1 = *c.beta1;
  if (c.beta2) rule.beta2 = *c.beta2;
  if (c.eps) rule.eps = *c.eps;
}

void fill(OptimConfig& c, const optim::MatrixRule& rule) {
  c.momentum = rule.momentum;
  c.momentum_form =
      rule.momentum_form == optim::MomentumForm::kEma ? "ema" : "heavy-ball";
  c.nesterov = rule.nesterov;
  c.scale = std::string(optim::scale_name(rule.scale));
  c.polar_method =
      rule.polar.method == PolarMethod::kSvd ? "svd" : "newton-schulz";
  c.polar_coefficients = rule.polar.coefficients;
  c.polar_steps = rule.polar.steps;
}

void fill(OptimConfig& c, const optim::AdamWRule& rule) {
  c.beta1 = rule.beta1;
  c.beta2 = rule.beta2;
  c.eps = rule.eps;
}

}  // namespace

Fields fields_of(RunConfig& c) {
  Fields f;
  f.add("data.path", &c.data_path, "folder made by `muonlab data prepare`");
  add_model_fields(c.model, f);
  add_optim_fields(c.optim, f);
  f.add("schedule.shape", &c.schedule_shape,
        core::join(optim::schedule_shape_names(), ", "));
  f.add("schedule.warmup", &c.schedule_warmup, "share of the steps");
  f.add("schedule.decay", &c.schedule_decay,
        "trapezoid: share of the steps, at the end");
  f.add("schedule.floor", &c.schedule_floor, "share of the peak rate");
  f.add("train.steps", &c.steps, "optimizer steps");
  f.add("train.batch", &c.batch, "sequences per optimizer step");
  f.add("train.accumulation", &c.accumulation,
        "micro-batches per optimizer step; must divide the batch");
  f.add("train.clip", &c.clip,
        "largest gradient norm, before momentum; 0: no clipping");
  f.add("train.seed", &c.seed, "of initial weights and data order");
  f.add("train.threads", &c.threads, "of LibTorch; 0: its own choice");
  f.add("train.log_every", &c.log_every, "steps between progress lines");
  f.add("eval.split", &c.eval_split, "held-out half: selection or reporting");
  f.add("eval.windows", &c.eval_windows,
        "windows of `context` tokens; 0: all, at most 1024");
  f.add("eval.every", &c.eval_every, "steps; 0: at the end only");
  return f;
}

RunConfig read_run_config(const std::filesystem::path& path,
                          const std::vector<std::string>& overrides,
                          const std::string& skip) {
  RunConfig config;
  Fields fields = fields_of(config);
  for (const TomlFile::Entry& entry : read_toml(path).entries) {
    if (!skip.empty() && entry.key.rfind(skip + ".", 0) == 0) continue;
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
  check_share(c.schedule_warmup, "schedule.warmup");
  check_share(c.schedule_decay, "schedule.decay");
  MUONLAB_CHECK(c.batch % c.accumulation == 0, "train.accumulation: got ",
                c.accumulation, ", expected a divisor of batch ", c.batch);
  MUONLAB_CHECK(c.clip >= 0 && std::isfinite(c.clip), "train.clip: got ",
                c.clip, ", expected 0 or more");
  MUONLAB_CHECK(c.eval_split == "selection" || c.eval_split == "reporting",
                "eval.split: got '", c.eval_split,
                "', expected selection or reporting");
  const optim::GroupOptions hidden = hidden_options(c.optim);
  c.optim.lr = hidden.lr();
  c.optim.weight_decay = hidden.weight_decay();
  std::visit([&](const auto& rule) { fill(c.optim, rule); }, hidden.update());
  (void)auxiliary_options(c.optim);
  (void)schedule_of(c);
}

optim::GroupOptions hidden_options(const OptimConfig& c) {
  optim::GroupOptions options = optim::preset(c.rule);
  if (c.lr) options.lr(*c.lr);
  if (c.weight_decay) options.weight_decay(*c.weight_decay);
  std::visit([&](auto& rule) { override_rule(rule, c); }, options.update());
  validate(options, "optim");
  return options;
}

optim::GroupOptions auxiliary_options(const OptimConfig& c) {
  optim::GroupOptions options(optim::AdamWRule{.beta1 = c.auxiliary_beta1,
                                               .beta2 = c.auxiliary_beta2,
                                               .eps = c.auxiliary_eps},
                              c.auxiliary_lr, c.auxiliary_weight_decay);
  validate(options, "optim.auxiliary");
  return options;
}

optim::Schedule schedule_of(const RunConfig& c) {
  const auto steps = [&](double share) {
    return static_cast<std::int64_t>(
        std::llround(share * static_cast<double>(c.steps)));
  };
  const auto shape = optim::schedule_shape_from_name(c.schedule_shape);
  const std::int64_t warmup = steps(c.schedule_warmup);
  std::int64_t decay = 0;
  if (shape == optim::ScheduleShape::kTrapezoid) {
    decay = steps(c.schedule_decay);
    // Both shares rounded up may come to one step too many.
    if (c.schedule_warmup + c.schedule_decay <= 1) {
      decay = std::min(decay, c.steps - warmup);
    }
  }
  const optim::Schedule schedule{.shape = shape,
                                 .total = c.steps,
                                 .warmup = warmup,
                                 .decay = decay,
                                 .floor = c.schedule_floor};
  validate(schedule);
  return schedule;
}

std::string run_identity(RunConfig config, const std::string& dataset_hash) {
  config.data_path.clear();  // the dataset is known by its content
  config.log_every = 1;
  const formats::Json identity = {{"config", fields_of(config).to_json()},
                                  {"dataset", dataset_hash},
                                  {"numerics", kNumericsVersion},
                                  {"libtorch", TORCH_VERSION},
                                  {"f32_products", linalg::matmul_backend()}};
  return core::sha256_hex(identity.dump());
}

}  // namespace muonlab::train

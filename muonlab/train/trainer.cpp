#include "muonlab/train/trainer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <memory>
#include <sstream>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/kernels/peak.h"
#include "muonlab/kernels/simd_level.h"
#include "muonlab/linalg/packed_polar.h"
#include "muonlab/linalg/polar_chooser.h"
#include "muonlab/linalg/tensor_file.h"
#include "muonlab/linalg/tensor_view.h"
#include "muonlab/nn/fused_pass.h"
#include "muonlab/nn/initialise.h"
#include "muonlab/optim/diagnostics.h"
#include "muonlab/optim/polar_work.h"
#include "muonlab/train/environment.h"
#include "muonlab/train/evaluate.h"
#include "muonlab/train/interrupt.h"
#include "muonlab/train/load_run.h"
#include "muonlab/train/open_dataset.h"
#include "muonlab/train/progress.h"
#include "muonlab/train/routing.h"
#include "muonlab/train/run_folder.h"
#include "muonlab/train/step_profile.h"
#include "muonlab/train/step_times.h"
#include "muonlab/train/stop_rule.h"
#include "muonlab/train/training_loop.h"
#include "muonlab/train/windows.h"

namespace muonlab::train {

namespace {

using formats::Json;
using formats::json_number;

// Everything that one run holds, and the steps it goes through.
class Run {
 public:
  Run(const RunConfig& config, const data::Dataset& dataset,
      const TrainRequest& request, RunFolder& folder, std::string identity)
      : config_(config),
        dataset_(dataset),
        folder_(folder),
        model_(config.model),
        optimizer_(plan()),
        pass_(config.layers == "fused"
                  ? std::make_unique<nn::FusedPass>(
                        model_, fused_options(config), linalg::kernel_pool())
                  : nullptr),
        loop_(config, dataset, model_, optimizer_, pass_.get()),
        diagnostics_({.every = config.diagnostics_every,
                      .spectra_every = config.spectra_every,
                      .spectra = config.spectra}),
        times_(config.steps),
        stop_rule_({.ratio = config.stop_ratio,
                    .after = config.stop_after,
                    .patience = config.stop_patience}),
        progress_(config.log_every,
                  [this](std::string_view line) { folder_.log(line); }) {
    progress_.set_quiet(request.quiet);
    optimizer_.set_observer(&diagnostics_);
    if (clips_logits(optimizer_.plan()) || config_.spectra_every > 0) {
      connect_attention(model_, optimizer_);
    }
    summary_.identity = std::move(identity);
    summary_.dataset = dataset.hash();
    describe();
    dump_ = request.dump;
    profiles_ = request.profile;
    if (dump_) dump();
  }

  RunSummary run() {
    summary_.status = "done";
    for (std::int64_t step = 0; step < config_.steps; ++step) {
      if (!train_step(step)) break;
      if (interrupted()) {
        summary_.status = "interrupted";
        break;
      }
      const bool last = step + 1 == config_.steps;
      if (!last && config_.eval_every > 0 &&
          (step + 1) % config_.eval_every == 0) {
        evaluate_now(step + 1);
      }
    }
    finish();
    return summary_;
  }

 private:
  optim::Plan plan() {
    nn::initialise(model_, static_cast<std::uint64_t>(config_.seed));
    return plan_for(model_, config_.optim);
  }

  void describe() {
    const nn::ModelSize size = nn::model_size(config_.model);
    summary_.parameters = size.parameters;
    summary_.hidden_parameters = size.hidden;
    summary_.train_tokens = dataset_.info().split(data::Split::kTrain).n_tokens;
    const std::int64_t per_step = config_.batch * config_.model.context;
    std::ostringstream header;
    header << "run " << folder_.path().string() << "\n"
           << version_line() << "; " << machine_line() << "; "
           << at::get_num_threads() << " threads\n"
           << "data " << config_.data_path << ": "
           << core::grouped(summary_.train_tokens) << " training tokens, "
           << dataset_.info().tokenizer_kind << " vocabulary "
           << dataset_.info().vocabulary << "\n"
           << "model " << core::grouped(summary_.parameters) << " parameters, "
           << core::grouped(summary_.hidden_parameters)
           << " of them in hidden matrices; " << config_.steps << " steps of "
           << core::grouped(per_step)
           << " tokens = " << core::grouped(config_.steps * per_step)
           << " tokens ("
           << core::fixed(static_cast<double>(config_.steps * per_step) /
                              static_cast<double>(summary_.train_tokens),
                          2)
           << " epochs), "
           << core::shortest(nn::flops_per_token(config_.model) *
                             static_cast<double>(config_.steps * per_step))
           << " FLOP\n"
           << optimizer_.plan();
    std::istringstream lines(header.str());
    for (std::string line; std::getline(lines, line);) progress_.note(line);
    folder_.metric({{"t", "start"},
                    {"run", folder_.path().string()},
                    {"config_hash", summary_.identity},
                    {"time", static_cast<std::int64_t>(std::time(nullptr))}});
  }

  void dump() {
    linalg::save_tensors(folder_.path() / "initial.safetensors",
                         named_parameters(model_));
    std::vector<std::int64_t> starts;
    for (std::int64_t step = 0; step < config_.steps; ++step) {
      const auto some = loop_.starts(step);
      starts.insert(starts.end(), some.begin(), some.end());
    }
    linalg::save_tensors(
        folder_.path() / "windows.safetensors",
        {{"starts", linalg::tensor_of(starts).view({config_.steps, -1})}});
  }

  // False when the run cannot go on.
  bool train_step(std::int64_t step) {
    diagnostics_.begin(step + 1);
    // Evaluations have no part in it.
    if (profiles_) pass_->set_profiling(times_.counts(step));
    const StepOutcome outcome = loop_.run(step);
    if (profiles_) pass_->set_profiling(false);
    if (step == 0) summary_.initial_loss = outcome.loss;
    if (!outcome.fault.empty()) {
      diverged("non_finite", step, outcome.fault);
      return false;
    }
    const std::int64_t tokens = config_.batch * config_.model.context;
    ++summary_.steps;
    summary_.tokens += tokens;
    summary_.train_seconds += outcome.total_seconds;
    clipped_ += outcome.clipped ? 1 : 0;
    times_.add(outcome);
    record(step + 1, outcome, tokens);
    record_diagnostics(step + 1);
    if (step == 0) {
      warn_about_missing_gradients();
      report_choices();
    }
    if (const std::string why = stop_rule_.look(step, outcome.loss);
        !why.empty()) {
      diverged("stop_rule", step, why);
      return false;
    }
    return true;
  }

  void diverged(const char* code, std::int64_t step, const std::string& what) {
    summary_.status = "diverged";
    summary_.cause = what;
    folder_.metric(
        {{"t", "warn"}, {"code", code}, {"step", step + 1}, {"what", what}});
  }

  void record(std::int64_t step, const StepOutcome& o, std::int64_t tokens) {
    const double hidden = *config_.optim.lr * o.lr_factor;
    folder_.metric(
        {{"t", "train"},
         {"step", step},
         {"tokens", summary_.tokens},
         {"flops", json_number(nn::flops_per_token(config_.model) *
                               static_cast<double>(summary_.tokens))},
         {"loss", json_number(o.loss)},
         {"gnorm", json_number(o.gradient_norm)},
         {"clipped", o.clipped},
         {"lr",
          {{"hidden", json_number(hidden)},
           {"auxiliary",
            json_number(config_.optim.auxiliary_lr * o.lr_factor)}}},
         {"dt", json_number(o.total_seconds)},
         {"dt_fwd", json_number(o.forward_seconds)},
         {"dt_bwd", json_number(o.backward_seconds)},
         {"dt_opt", json_number(o.optimizer_seconds)},
         {"tok_s", json_number(static_cast<double>(tokens) / o.total_seconds)},
         {"wall", json_number(summary_.train_seconds)}});
    progress_.step({.step = step,
                    .total = config_.steps,
                    .loss = o.loss,
                    .gradient_norm = o.gradient_norm,
                    .lr = hidden,
                    .seconds = o.total_seconds,
                    .optimizer_seconds = o.optimizer_seconds,
                    .tokens = tokens});
  }

  void record_diagnostics(std::int64_t step) {
    if (!diagnostics_.due()) return;
    Json line = {
        {"t", "diag"}, {"step", step}, {"layers", diagnostics_.take()}};
    if (diagnostics_.spectra_due()) {
      Json logits = Json::object();
      for (std::int64_t layer = 0; layer < config_.model.layers; ++layer) {
        Json heads = Json::array();
        for (const double v : linalg::values_of(model_.largest_logits(layer))) {
          heads.push_back(json_number(v));
        }
        logits[concat("blocks.", layer, ".attention")] = heads;
      }
      line["attention_logits"] = logits;
    }
    Json rules = Json::object();
    for (const auto& [rule, c] : optimizer_.counters()) {
      rules[rule] = {{"updates", c.updates},
                     {"skipped_zero", c.skipped_zero},
                     {"without_gradient", c.without_gradient}};
    }
    line["rules"] = rules;
    line["clipped_heads"] = optimizer_.clipped_heads();
    line["clipped_steps"] = clipped_;
    folder_.metric(line);
  }

  void warn(const char* code, const std::string& name,
            const std::string& what) {
    progress_.note(concat("warning: parameter '", name, "' ", what));
    folder_.metric({{"t", "warn"}, {"code", code}, {"what", name}});
  }

  // Under polar_method = auto: which form each shape got, and from what.
  void report_choices() {
    for (const linalg::PolarChoice& choice : linalg::polar_choices()) {
      std::string text = concat("polar factor ", choice.rows, "x",
                                choice.columns, ": chose ", choice.name);
      if (choice.candidates.empty()) text += ", as measured before";
      for (const linalg::PolarCandidate& c : choice.candidates) {
        if (c.seconds > 0) {
          text +=
              concat("; ", c.name, " ", core::fixed(c.seconds * 1e3, 2), " ms");
        }
      }
      progress_.note(text);
      folder_.metric({{"t", "polar_choice"},
                      {"rows", choice.rows},
                      {"columns", choice.columns},
                      {"form", choice.name}});
    }
  }

  // A gradient of zeros is no fault here: under output projections that start
  // at zero most matrices have one at the first step.
  void warn_about_missing_gradients() {
    for (const optim::Route& route : optimizer_.plan().routes) {
      if (!route.frozen && !route.parameter.grad().defined()) {
        warn("no_gradient", route.name, "had no gradient and was not updated");
      }
    }
  }

  void warn_about_never_updated() {
    for (const auto& [name, count] : optimizer_.updates()) {
      if (count == 0) {
        warn("never_updated", name, "was never updated in this run");
      }
    }
  }

  HeldOutLoss evaluate_now(std::int64_t step) {
    const HeldOutLoss loss =
        evaluate(pass_ ? token_scores(*pass_) : token_scores(model_),
                 config_.model.context, dataset_,
                 split_from_name(config_.eval_split), config_.eval_windows);
    summary_.eval_seconds += loss.seconds;
    folder_.metric({{"t", "eval"},
                    {"step", step},
                    {"tokens", summary_.tokens},
                    {"split", config_.eval_split},
                    {"val_loss", json_number(loss.loss)},
                    {"bpb", json_number(loss.bits_per_byte)},
                    {"accuracy", json_number(loss.accuracy)},
                    {"n_tokens", loss.tokens},
                    {"se", json_number(loss.standard_error)},
                    {"wall", json_number(summary_.train_seconds)}});
    progress_.evaluation(step, config_.steps, loss);
    return loss;
  }

  void finish() {
    summary_.split = config_.eval_split;
    summary_.held_out_tokens = config_.eval_windows * config_.model.context;
    if (summary_.status == "done") {
      const HeldOutLoss loss = evaluate_now(config_.steps);
      if (std::isfinite(loss.loss)) {
        summary_.val_loss = loss.loss;
        summary_.bits_per_byte = loss.bits_per_byte;
        summary_.standard_error = loss.standard_error;
        summary_.accuracy = loss.accuracy;
      } else {
        summary_.status = "diverged";
        summary_.cause = concat("the held-out loss is ", loss.loss);
      }
    }
    if (summary_.status == "done" && summary_.steps > 1) {
      warn_about_never_updated();
    }
    summary_.flops = nn::flops_per_token(config_.model) *
                     static_cast<double>(summary_.tokens);
    if (summary_.steps > 0) {
      summary_.clipped_share =
          static_cast<double>(clipped_) / static_cast<double>(summary_.steps);
    }
    summary_.step_seconds = times_.medians();
    summary_.peak_memory_bytes = peak_memory_bytes();
    const auto parameters = named_parameters(model_);
    summary_.weights_sha256 = linalg::tensors_sha256(parameters);
    linalg::save_tensors(folder_.weights_path(), parameters);
    if (dump_) optimizer_.save(folder_.path() / "optimizer.safetensors");
    folder_.metric(
        {{"t", "end"},
         {"status", summary_.status},
         {"cause", summary_.cause},
         {"val_loss",
          summary_.val_loss ? json_number(*summary_.val_loss) : Json()},
         {"weights_sha256", summary_.weights_sha256}});
    // Last, since its presence says that the run is whole.
    write_summary(folder_.summary_path(), summary_);
    report_polar_speed();
    report_profile();
    progress_.finished(summary_);
  }

  void report_profile() {
    const StepTimes::Totals totals = times_.totals();
    if (!profiles_ || totals.steps == 0) return;
    const StepProfile profile{
        .pass = pass_->profile(),
        .precision = fused_options(config_).precision,
        .steps = totals.steps,
        .total_seconds = totals.seconds,
        .optimizer_seconds = totals.optimizer_seconds,
        .model_flops =
            nn::flops_per_token(config_.model) *
            static_cast<double>(config_.batch * config_.model.context),
        .peak = kernels::measure_peak(linalg::kernel_pool(),
                                      kernels::active_simd_level()),
        .threads = linalg::kernel_pool().size()};
    folder_.metric(profile_json(profile));
    std::istringstream lines(profile_table(profile));
    for (std::string line; std::getline(lines, line);) progress_.note(line);
  }

  void report_polar_speed() {
    if (summary_.steps == 0 || summary_.status != "done") return;
    PolarSpeed speed;
    const auto steps = static_cast<double>(summary_.steps);
    for (const optim::Route& route : optimizer_.plan().routes) {
      const auto updates = optimizer_.updates().find(route.name);
      if (updates == optimizer_.updates().end()) continue;
      const double share = static_cast<double>(updates->second) / steps;
      const auto work = optim::polar_work(optimizer_.plan(), route);
      speed.work.float32 += share * work.float32;
      speed.work.bfloat16 += share * work.bfloat16;
    }
    if (speed.work.float32 + speed.work.bfloat16 == 0) return;
    const StepTimes::Totals totals = times_.totals();
    if (totals.steps == 0) return;
    speed.seconds =
        totals.optimizer_seconds / static_cast<double>(totals.steps);
    speed.peak = kernels::measure_peak(linalg::kernel_pool(),
                                       kernels::active_simd_level());
    progress_.polar_speed(speed);
  }

  const RunConfig& config_;
  const data::Dataset& dataset_;
  RunFolder& folder_;
  nn::LanguageModel model_;
  optim::Optimizer optimizer_;
  std::unique_ptr<nn::FusedPass> pass_;
  TrainingLoop loop_;
  optim::Diagnostics diagnostics_;
  StepTimes times_;
  StopRule stop_rule_;
  Progress progress_;
  RunSummary summary_;
  std::int64_t clipped_ = 0;
  bool dump_ = false;
  bool profiles_ = false;
};

}  // namespace

TrainResult run_training(RunConfig config, const TrainRequest& request) {
  // Before anything of the folder changes.
  MUONLAB_CHECK(!request.profile || config.layers != "plain",
                "--profile: got train.layers = plain, whose parts have no "
                "times; expected fused");
  const InterruptGuard guard;  // a signal while data load counts too
  const data::Dataset dataset = open_dataset(config);
  check_windows(dataset.info(), split_from_name(config.eval_split),
                config.model.context, config.eval_windows);
  const std::string identity = run_identity(config, dataset.hash());
  RunFolder folder(request.out.empty() ? default_run_folder(config, identity)
                                       : request.out);
  const auto earlier =
      request.force ? std::optional<RunSummary>() : folder.earlier();
  if (earlier &&
      (earlier->status != "interrupted" || earlier->identity != identity)) {
    if (earlier->identity == identity) {
      return {.summary = *earlier, .folder = folder.path(), .repeated = true};
    }
    throw Error(ErrorKind::kInvalidArgument,
                concat(folder.path().string(),
                       ": holds a run of another configuration"),
                "choose another folder with --out, or replace it with --force");
  }
  folder.begin(config, request.argv);
  return {.summary = Run(config, dataset, request, folder, identity).run(),
          .folder = folder.path()};
}

std::filesystem::path default_run_folder(const RunConfig& config,
                                         const std::string& id) {
  return std::filesystem::path("runs") /
         concat(config.optim.rule, "-", id.substr(0, 8), "-s", config.seed);
}

}  // namespace muonlab::train

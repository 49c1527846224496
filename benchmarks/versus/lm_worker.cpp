// muonlab's side of benchmarks/versus/lm_versus.py: trains a language model by
// the fused pass and AdamW, some steps at a time, when asked.
//
// stdin: a JSON object on each line. {"set": {...}} makes model and optimizer
// and saves the initial weights, {"check": N} takes N steps on the first batch,
// {"go": N} takes N steps, batch after batch, {"peak": 1} measures what the
// cores can do, {"memory": 1} asks for the largest size of this process.
// stdout: a JSON object for each line.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/torch.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/formats/json.h"
#include "muonlab/kernels/peak.h"
#include "muonlab/kernels/simd_level.h"
#include "muonlab/linalg/packed_polar.h"
#include "muonlab/linalg/tensor_file.h"
#include "muonlab/nn/fused_pass.h"
#include "muonlab/nn/initialise.h"
#include "muonlab/nn/language_model.h"
#include "muonlab/optim/optimizer.h"
#include "muonlab/optim/plan.h"
#include "muonlab/optim/presets.h"
#include "muonlab/optim/route.h"

namespace {

using muonlab::formats::Json;
namespace nn = muonlab::nn;
namespace optim = muonlab::optim;

double now() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

nn::ModelConfig model_config(const Json& table) {
  nn::ModelConfig c;
  c.vocabulary = table.at("vocabulary").get<std::int64_t>();
  c.context = table.at("length").get<std::int64_t>();
  c.width = table.at("width").get<std::int64_t>();
  c.layers = table.at("layers").get<std::int64_t>();
  c.heads = table.at("heads").get<std::int64_t>();
  c.hidden = table.at("hidden").get<std::int64_t>();
  c.activation = table.at("activation").get<std::string>();
  c.positions = table.at("positions").get<std::string>();
  c.tied_head = table.at("tied_head").get<bool>();
  c.norm_eps = table.at("norm_eps").get<double>();
  c.rope_theta = table.at("rope_theta").get<double>();
  c.init_output_gain = 0.5;  // no gradient is zero in the first step
  return c;
}

optim::Plan plan(const nn::LanguageModel& model, const Json& adamw) {
  optim::GroupOptions rule = optim::adamw();
  rule.lr(adamw.at("lr").get<double>())
      .weight_decay(adamw.at("weight_decay").get<double>())
      .set("beta1", adamw.at("beta1").get<double>())
      .set("beta2", adamw.at("beta2").get<double>())
      .set("eps", adamw.at("eps").get<double>());
  return optim::route(model, rule, rule);
}

// A model in training, with its batches.
class Training {
 public:
  explicit Training(const Json& set)
      : model_(model_config(set.at("model"))),
        optimizer_(plan(model_, set.at("adamw"))),
        pass_(model_,
              {.precision = nn::precision_from_name(
                   set.at("precision").get<std::string>())},
              muonlab::linalg::kernel_pool()) {
    optimizer_.set_max_gradient_norm(set.at("clip").get<double>());
    nn::initialise(model_, 1);
    muonlab::linalg::NamedTensors weights;
    for (const auto& item : model_.named_parameters()) {
      weights.emplace_back(item.key(), item.value().detach());
    }
    muonlab::linalg::save_tensors(set.at("weights").get<std::string>(),
                                  weights);
    const auto file =
        muonlab::linalg::load_tensors(set.at("batches").get<std::string>());
    for (const at::Tensor& batch : file.tensors.at("batches").unbind()) {
      const std::int64_t length = batch.size(1) - 1;
      batches_.emplace_back(batch.narrow(1, 0, length).contiguous(),
                            batch.narrow(1, 1, length).contiguous());
    }
  }

  // The loss before the update.
  double step(std::size_t index) {
    const auto& [tokens, targets] = batches_[index % batches_.size()];
    const double loss = pass_.add_gradients(tokens, targets);
    optimizer_.step();
    return loss;
  }

  [[nodiscard]] Json facts() const {
    Json facts;
    facts["parameters"] = nn::model_size(model_.config()).parameters;
    facts["flops_per_token"] = nn::flops_per_token(model_.config());
    // Too little to be seen in a few steps' losses.
    const Json plan = optim::plan_json(optimizer_.plan());
    for (const Json& row : plan.at("parameters")) {
      facts["decays"].push_back(row.at("effective_weight_decay"));
    }
    return facts;
  }

  Json check(int steps) {
    Json answer;
    for (int i = 0; i < steps; ++i) {
      answer["losses"].push_back(step(0));
      answer["norms"].push_back(optimizer_.gradient_norm());
    }
    return answer;
  }

  Json go(int steps) {
    Json answer;
    for (int i = 0; i < steps; ++i) {
      const double begin = now();
      const double loss = step(taken_++);
      answer["seconds"].push_back(now() - begin);
      answer["loss"] = loss;
    }
    return answer;
  }

 private:
  nn::LanguageModel model_;
  optim::Optimizer optimizer_;
  nn::FusedPass pass_;
  std::vector<std::pair<at::Tensor, at::Tensor>> batches_;
  std::size_t taken_ = 0;
};

Json peak() {
  const auto peak = muonlab::kernels::measure_peak(
      muonlab::linalg::kernel_pool(), muonlab::kernels::active_simd_level());
  return {{"float32", peak.float32}, {"bfloat16", peak.bfloat16}};
}

// As Linux counts it, bytes.
Json memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) {
      return {{"bytes", 1024 * std::stoll(line.substr(6))}};
    }
  }
  throw muonlab::Error(muonlab::ErrorKind::kUnsupported,
                       "lm worker: /proc/self/status has no VmHWM");
}

Json answer_to(const Json& request, std::unique_ptr<Training>& training) {
  if (request.contains("set")) {
    training.reset();
    training = std::make_unique<Training>(request["set"]);
    return training->facts();
  }
  if (request.contains("peak")) return peak();
  if (request.contains("memory")) return memory();
  if (request.contains("level")) {
    return {{"level", muonlab::linalg::polar_backend()}};
  }
  MUONLAB_CHECK(training != nullptr, "lm worker: nothing is set");
  if (request.contains("check")) {
    return training->check(request["check"].get<int>());
  }
  return training->go(request.at("go").get<int>());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: versus_lm_worker THREADS\n";
    return 2;
  }
  at::set_num_threads(std::stoi(argv[1]));
  std::unique_ptr<Training> training;
  for (std::string line; std::getline(std::cin, line);) {
    Json answer;
    try {
      answer = answer_to(Json::parse(line), training);
    } catch (const std::exception& e) {
      answer = {{"error", e.what()}};
    }
    std::cout << answer.dump() << std::endl;
  }
  return 0;
}

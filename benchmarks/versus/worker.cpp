// muonlab's side of benchmarks/versus: does one piece of work at a time, when
// asked, so that versus.py can take turns with PyTorch.
//
// stdin: a JSON object on each line, {"set": {...}} prepares work, {"go": N}
// does it N times, {"peak": 1} measures what the cores can do. stdout: a JSON
// object for each line; of "go" the seconds.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/torch.h>

#include <chrono>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/core/thread_pool.h"
#include "muonlab/formats/json.h"
#include "muonlab/kernels/elementwise_list.h"
#include "muonlab/kernels/peak.h"
#include "muonlab/kernels/simd_level.h"
#include "muonlab/linalg/packed_polar.h"
#include "muonlab/linalg/polar.h"
#include "muonlab/linalg/polar_chooser.h"
#include "muonlab/optim/optimizer.h"
#include "muonlab/optim/route.h"

namespace {

using muonlab::formats::Json;
namespace optim = muonlab::optim;

double now() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Work, and what it executes.
struct Work {
  std::function<void()> run;
  Json facts = Json::object();
};

muonlab::PolarOptions polar_options(const Json& set) {
  optim::GroupOptions group = optim::preset("muon");
  const Json named = set.value("options", Json::object());
  for (const auto& [key, value] : named.items()) {
    group.set("polar_" + key, value.get<std::string>());
  }
  return std::get<optim::MatrixRule>(group.update()).polar;
}

Work polar_work(const Json& set) {
  const auto batch = set.value("batch", std::int64_t{1});
  const auto rows = set.at("rows").get<std::int64_t>();
  const auto columns = set.at("columns").get<std::int64_t>();
  torch::manual_seed(1);
  const at::Tensor m = torch::randn({batch, rows, columns});
  const auto options = polar_options(set);
  const auto resolved = muonlab::linalg::chosen_polar(options, rows, columns);
  Work work;
  if (const auto schedule = muonlab::linalg::packed_schedule(resolved)) {
    const auto flops = muonlab::kernels::polar_flops(
        static_cast<std::size_t>(rows), static_cast<std::size_t>(columns),
        *schedule);
    work.facts["flops_float32"] = flops.float32 * static_cast<double>(batch);
    work.facts["flops_bfloat16"] = flops.bfloat16 * static_cast<double>(batch);
  }
  work.run = [m, options] { (void)muonlab::polar_factor(m, options); };
  return work;
}

std::vector<optim::DescribedParameter> parameters(const Json& shapes) {
  torch::manual_seed(1);
  std::vector<optim::DescribedParameter> all;
  for (const Json& shape : shapes) {
    at::Tensor w = (torch::randn(shape.get<std::vector<std::int64_t>>()) * .02)
                       .requires_grad_();
    w.mutable_grad() = torch::randn_like(w);
    all.push_back(
        {"p" + std::to_string(all.size()), w, muonlab::Role::kMatrix, {}});
  }
  return all;
}

Work step_work(const Json& set) {
  optim::RouteOptions options;
  options.hidden = optim::preset(set.at("rule").get<std::string>());
  const Json named = set.value("options", Json::object());
  for (const auto& [key, value] : named.items()) {
    options.hidden.set(key, value.get<std::string>());
  }
  auto optimizer = std::make_shared<optim::Optimizer>(
      optim::route(parameters(set.at("shapes")), options));
  optimizer->set_max_gradient_norm(set.value("clip", 0.0));
  optimizer->step();  // makes the state
  return {[optimizer] { optimizer->step(); }, Json::object()};
}

// AdamW's pass alone, without the read that checks the gradients before it.
Work adam_pass(const Json& set) {
  struct Arrays {
    std::vector<std::vector<float>> values;
    std::vector<muonlab::kernels::AdamTask> tasks;
  };
  auto arrays = std::make_shared<Arrays>();
  const auto tensors = set.at("tensors").get<std::size_t>();
  const auto size = set.at("size").get<std::size_t>();
  muonlab::kernels::AdamScalars scalars;
  scalars.beta1 = 0.9F;
  scalars.one_minus_beta1 = 0.1F;
  scalars.beta2 = 0.95F;
  scalars.one_minus_beta2 = 0.05F;
  scalars.eps = 1e-8F;
  scalars.coupling = {0.9999F, 1e-3F, false};
  for (std::size_t i = 0; i < 4 * tensors; ++i) {
    arrays->values.emplace_back(size, 0.01F);
  }
  for (std::size_t i = 0; i < tensors; ++i) {
    const auto part = [&](std::size_t k) {
      return arrays->values[4 * i + k].data();
    };
    arrays->tasks.push_back(
        {part(0), part(1), part(2), part(3), size, scalars});
  }
  return {[arrays] {
            muonlab::kernels::adam_list(arrays->tasks,
                                        muonlab::linalg::kernel_pool());
          },
          Json::object()};
}

Work work_of(const Json& set) {
  const auto kind = set.at("kind").get<std::string>();
  if (kind == "polar") return polar_work(set);
  if (kind == "step") return step_work(set);
  if (kind == "adam-pass") return adam_pass(set);
  throw muonlab::Error(muonlab::ErrorKind::kInvalidArgument,
                       "versus worker: no work '" + kind + "'");
}

Json choices() {
  Json all = Json::array();
  for (const auto& c : muonlab::linalg::polar_choices()) {
    all.push_back(muonlab::concat(c.rows, "x", c.columns, ": ", c.name));
  }
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: versus_worker THREADS\n";
    return 2;
  }
  at::set_num_threads(std::stoi(argv[1]));
  Work work;
  for (std::string line; std::getline(std::cin, line);) {
    Json answer;
    try {
      const Json request = Json::parse(line);
      if (request.contains("set")) {
        work = {};
        work = work_of(request["set"]);
        answer = work.facts;
      } else if (request.contains("go")) {
        Json seconds = Json::array();
        for (int i = 0; i < request["go"].get<int>(); ++i) {
          const double begin = now();
          work.run();
          seconds.push_back(now() - begin);
        }
        answer["seconds"] = seconds;
      } else if (request.contains("peak")) {
        const auto peak = muonlab::kernels::measure_peak(
            muonlab::linalg::kernel_pool(),
            muonlab::kernels::active_simd_level());
        answer = {{"float32", peak.float32}, {"bfloat16", peak.bfloat16}};
      } else {
        answer["choices"] = choices();
        answer["level"] = muonlab::linalg::polar_backend();
      }
    } catch (const std::exception& e) {
      answer = {{"error", e.what()}};
    }
    std::cout << answer.dump() << std::endl;
  }
  return 0;
}

#include "muonlab/nn/initialise.h"

#include <torch/types.h>

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/core/philox.h"
#include "muonlab/linalg/tensor_view.h"

namespace muonlab::nn {

namespace {

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() &&
         text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// Standard deviation of a parameter; nullopt for gains, which start at one.
std::optional<double> deviation(const std::string& name,
                                const at::Tensor& parameter,
                                const ModelConfig& config) {
  if (name == "embedding") return config.init_embedding_std;
  if (name == "head") return config.init_head_std;
  if (parameter.dim() == 1) return std::nullopt;
  const bool output = ends_with(name, ".output") || ends_with(name, ".down");
  const bool input = ends_with(name, ".qkv") || ends_with(name, ".gate_up") ||
                     ends_with(name, ".up");
  if (!output && !input) {
    throw Error(ErrorKind::kInternal,
                concat("initialise: no rule for parameter '", name, "'"));
  }
  if (config.init_matrix_std) return *config.init_matrix_std;
  const double gain = output ? config.init_output_gain : config.init_gain;
  return gain / std::sqrt(static_cast<double>(parameter.size(1)));
}

}  // namespace

void initialise(LanguageModel& model, std::uint64_t seed) {
  const at::NoGradGuard no_grad;
  for (auto& item : model.named_parameters()) {
    at::Tensor& parameter = item.value();
    const auto std = deviation(item.key(), parameter, model.config());
    if (!std.has_value()) {
      parameter.fill_(1);
      continue;
    }
    const core::Random random(seed, "init/" + item.key());
    std::vector<double> values(static_cast<std::size_t>(parameter.numel()));
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = *std * random.normal(0, i);
    }
    parameter.copy_(linalg::tensor_of(values).view(parameter.sizes()));
  }
}

}  // namespace muonlab::nn

#include "muonlab/nn/model_config.h"

#include <cmath>
#include <initializer_list>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"

namespace muonlab::nn {

namespace {

// Keeps every product of sizes inside 64 bits.
constexpr std::int64_t kLargest = std::int64_t{1} << 20;

void check_positive(std::int64_t value, const char* field) {
  MUONLAB_CHECK(value >= 1 && value <= kLargest, "model.", field, ": got ",
                value, ", expected 1 to ", kLargest);
}

void check_std(double value, const char* field) {
  MUONLAB_CHECK(value >= 0 && std::isfinite(value), "model.", field, ": got ",
                value, ", expected 0 or more");
}

void check_choice(const std::string& value, const char* field,
                  std::initializer_list<std::string> choices) {
  for (const std::string& choice : choices) {
    if (choice == value) return;
  }
  throw Error(
      ErrorKind::kInvalidArgument,
      concat("model.", field, ": got '", value, "'",
             core::suggestion(value, std::vector<std::string>(choices))));
}

}  // namespace

bool is_gated(const std::string& activation) {
  return activation == "swiglu" || activation == "geglu";
}

void validate(const ModelConfig& c) {
  check_positive(c.vocabulary, "vocabulary");
  check_positive(c.context, "context");
  check_positive(c.width, "width");
  check_positive(c.layers, "layers");
  check_positive(c.heads, "heads");
  check_positive(c.hidden, "hidden");
  MUONLAB_CHECK(c.width % c.heads == 0, "model.heads: got ", c.heads,
                ", expected a divisor of width ", c.width);
  check_choice(c.activation, "activation",
               {"swiglu", "geglu", "silu", "gelu", "relu2"});
  check_choice(c.positions, "positions", {"rotary", "none", "rotary_by_head"});
  MUONLAB_CHECK(c.positions == "none" || c.width / c.heads % 2 == 0,
                "model.heads: got ", c.heads, ", so a head has ",
                c.width / c.heads, " features; rotary needs an even number");
  MUONLAB_CHECK(c.rope_theta > 1, "model.rope_theta: got ", c.rope_theta,
                ", expected more than 1");
  MUONLAB_CHECK(c.norm_eps > 0, "model.norm_eps: got ", c.norm_eps,
                ", expected more than 0");
  MUONLAB_CHECK(c.dropout >= 0 && c.dropout < 1, "model.dropout: got ",
                c.dropout, ", expected at least 0 and less than 1");
  check_std(c.init_gain, "init_gain");
  if (c.init_matrix_std) check_std(*c.init_matrix_std, "init_matrix_std");
  check_std(c.init_output_gain, "init_output_gain");
  check_std(c.init_embedding_std, "init_embedding_std");
  check_std(c.init_head_std, "init_head_std");
}

ModelSize model_size(const ModelConfig& c) {
  const std::int64_t up = is_gated(c.activation) ? 2 : 1;
  const std::int64_t hidden =
      c.layers * (4 * c.width * c.width + (up + 1) * c.width * c.hidden);
  const std::int64_t gains = (2 * c.layers + 1) * c.width;
  const std::int64_t tables = (c.tied_head ? 1 : 2) * c.vocabulary * c.width;
  return {hidden + gains + tables, hidden};
}

double flops_per_token(const ModelConfig& c) {
  const std::int64_t weights = model_size(c).hidden + c.vocabulary * c.width;
  return 6.0 * static_cast<double>(weights) +
         6.0 * static_cast<double>(c.layers * c.width * c.context);
}

}  // namespace muonlab::nn

#include "muonlab/nn/precision.h"

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"

namespace muonlab::nn {

std::string_view precision_name(Precision precision) {
  return precision == Precision::kFloat32 ? "float32" : "bfloat16";
}

Precision precision_from_name(std::string_view name) {
  if (name == "float32") return Precision::kFloat32;
  if (name == "bfloat16") return Precision::kBFloat16;
  throw Error(ErrorKind::kInvalidArgument,
              concat("precision: got '", name, "'",
                     core::suggestion(std::string(name), precision_names())));
}

std::vector<std::string> precision_names() { return {"float32", "bfloat16"}; }

}  // namespace muonlab::nn

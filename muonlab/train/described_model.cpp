#include "muonlab/train/described_model.h"

#include <ATen/ATen.h>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/optim/route.h"
#include "muonlab/train/routing.h"
#include "muonlab/train/run_config.h"

namespace muonlab::train {

namespace {

using formats::Json;

constexpr const char* kList = "parameters";

[[noreturn]] void wrong(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::kInvalidArgument, where + ": " + what);
}

at::ScalarType dtype_of(const std::string& name, const std::string& where) {
  if (name == "float32") return at::kFloat;
  if (name == "float64") return at::kDouble;
  if (name == "bfloat16") return at::kBFloat16;
  if (name == "float16") return at::kHalf;
  if (name == "complex64") return at::kComplexFloat;
  wrong(where, concat("dtype: got '", name,
                      "', expected float32, float64, bfloat16 or float16"));
}

template <typename T>
T value_of(const Json& table, const char* key, const std::string& where) {
  if (!table.contains(key)) wrong(where, concat("key '", key, "' is missing"));
  try {
    return table[key].get<T>();
  } catch (const Json::exception&) {
    wrong(where, concat(key, ": got ", table[key].dump(),
                        ", which is of the wrong type"));
  }
}

optim::DescribedParameter parameter_of(const Json& table,
                                       const std::string& where) {
  static const std::vector<std::string> kKeys = {"name",   "shape", "role",
                                                 "blocks", "dtype", "frozen"};
  if (!table.is_object()) wrong(where, "expected a table");
  for (const auto& item : table.items()) {
    if (std::find(kKeys.begin(), kKeys.end(), item.key()) == kKeys.end()) {
      wrong(where, concat("unknown key '", item.key(), "'",
                          core::suggestion(item.key(), kKeys)));
    }
  }
  optim::DescribedParameter p;
  p.name = value_of<std::string>(table, "name", where);
  const auto shape = value_of<std::vector<std::int64_t>>(table, "shape", where);
  for (const std::int64_t d : shape) {
    if (d < 1) wrong(where, "shape: expected positive numbers");
  }
  p.role = role_from_name(value_of<std::string>(table, "role", where));
  if (table.contains("blocks")) {
    for (const Json& b : table["blocks"]) {
      p.blocks.push_back({value_of<std::string>(b, "name", where),
                          value_of<std::int64_t>(b, "rows", where)});
    }
  }
  const auto dtype =
      dtype_of(table.value("dtype", std::string("float32")), where);
  // Shapes alone: no memory.
  p.parameter =
      at::empty(shape, at::TensorOptions().dtype(dtype).device(at::kMeta));
  p.parameter.set_requires_grad(!table.value("frozen", false));
  return p;
}

}  // namespace

bool describes_parameters(const std::filesystem::path& path) {
  for (const TomlFile::Entry& entry : read_toml(path).entries) {
    if (entry.key == kList) return true;
  }
  return false;
}

optim::Plan described_plan(const std::filesystem::path& path,
                           const std::vector<std::string>& overrides) {
  std::vector<optim::DescribedParameter> parameters;
  for (const TomlFile::Entry& entry : read_toml(path).entries) {
    if (entry.key != kList) continue;
    for (std::size_t i = 0; i < entry.value.size(); ++i) {
      parameters.push_back(parameter_of(
          entry.value[i], concat(path.string(), ": parameters[", i, "]")));
    }
  }
  const RunConfig config = read_run_config(path, overrides, kList);
  MUONLAB_CHECK(config.optim.blocks == "parts", path.string(),
                ": optim.blocks: got '", config.optim.blocks,
                "', but the blocks are those that [[parameters]] list");
  return optim::route(parameters, route_options(config.optim));
}

}  // namespace muonlab::train

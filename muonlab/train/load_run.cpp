#include "muonlab/train/load_run.h"

#include <ATen/ATen.h>

#include "muonlab/core/error.h"

namespace muonlab::train {

linalg::NamedTensors named_parameters(const nn::LanguageModel& model) {
  linalg::NamedTensors tensors;
  for (const auto& item : model.named_parameters()) {
    tensors.emplace_back(item.key(), item.value());
  }
  return tensors;
}

RunConfig read_run(const std::filesystem::path& folder) {
  const auto path = folder / "config.toml";
  if (!std::filesystem::exists(path)) {
    throw Error(ErrorKind::kIo,
                concat(folder.string(),
                       ": is not a run folder: it has no "
                       "config.toml"),
                "give the folder that `muonlab train` wrote");
  }
  return read_run_config(path);
}

void load_weights(nn::LanguageModel& model, const std::filesystem::path& path) {
  const at::NoGradGuard no_grad;
  const auto file = linalg::load_tensors(path);
  const auto parameters = named_parameters(model);
  for (const auto& [name, parameter] : parameters) {
    const auto found = file.tensors.find(name);
    if (found == file.tensors.end() ||
        found->second.sizes() != parameter.sizes()) {
      throw Error(ErrorKind::kCorruptData,
                  concat(path.string(), ": tensor '", name, "' ",
                         found == file.tensors.end() ? "is missing"
                                                     : "has another shape"),
                  "these weights belong to another configuration");
    }
    parameter.copy_(found->second);
  }
  if (file.tensors.size() != parameters.size()) {
    throw Error(ErrorKind::kCorruptData,
                concat(path.string(), ": holds ", file.tensors.size(),
                       " tensors, the model has ", parameters.size()),
                "these weights belong to another configuration");
  }
}

}  // namespace muonlab::train

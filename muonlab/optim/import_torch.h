// State of PyTorch's optimizers, taken over by name.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "muonlab/optim/load_report.h"
#include "muonlab/optim/optimizer.h"

namespace muonlab::optim {

/// Reads what `torch.save(optimizer.state_dict(), path)` wrote for
/// torch.optim.AdamW, Adam, Muon or SGD, and makes it the state of the
/// parameters that it names; all others keep theirs. One file may be read after
/// another (AdamW's and Muon's of one run).
///
/// Parameters are known by the `param_names` that PyTorch saves where its
/// optimizer was given named parameters, or else by `names`, in the order of
/// PyTorch's indices. torch.optim.Muon keeps an EMA (whatever its documentation
/// prints), torch.optim.SGD a heavy ball: the buffer is converted to what the
/// parameter's rule keeps. Muon saves no step count: 1 is taken.
///
/// The report has what was converted and which parameters of the file had no
/// state. Throws Error(kIo), Error(kCorruptData) on a file that PyTorch did not
/// write, Error(kInvalidArgument) with all faults named (unknown name, another
/// shape, a rule that keeps something else); nothing is changed then.
LoadReport import_torch_state(Optimizer& optimizer,
                              const std::filesystem::path& path,
                              const std::vector<std::string>& names = {});

}  // namespace muonlab::optim

// Links a whole archive again and again through LLVM's ORC, as `codeslab-bench link` does it through codeslab:
//
//     orc_peer ARCHIVE REPETITIONS
//
// The archive is read and its members are cut out once. A link adds every member to a library of its own (`JITDylib`) and looks every
// global symbol up that the members define: ORC links what is asked for. Giving the library back is not counted.

#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/Object/Archive.h>
#include <llvm/Object/ELFObjectFile.h>
#include <llvm/Support/TargetSelect.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

using namespace llvm;
using Clock = std::chrono::steady_clock;

namespace {

struct Member {
  std::string Name;
  StringRef Bytes;
};

// The objects of an archive. The archive has to stay.
std::vector<Member> membersOf(const object::Archive &Archive) {
  std::vector<Member> Members;
  Error Failure = Error::success();
  for (const object::Archive::Child &Child : Archive.children(Failure))
    Members.push_back({cantFail(Child.getName()).str(), cantFail(Child.getBuffer())});
  cantFail(std::move(Failure));
  return Members;
}

// What the objects define and others can see.
std::vector<std::string> definedBy(const std::vector<Member> &Members) {
  std::vector<std::string> Names;
  for (const Member &M : Members) {
    auto Object = cantFail(object::ObjectFile::createObjectFile(MemoryBufferRef(M.Bytes, M.Name)));
    for (const object::SymbolRef &Symbol : Object->symbols()) {
      const uint32_t Flags = cantFail(Symbol.getFlags());
      const bool IsSeen = (Flags & object::SymbolRef::SF_Global) && !(Flags & object::SymbolRef::SF_Undefined) &&
                          !(Flags & object::SymbolRef::SF_Hidden);
      if (IsSeen)
        Names.push_back(cantFail(Symbol.getName()).str());
    }
  }
  return Names;
}

// Adds every member to a library and has all that it defines linked. False if something could not be.
bool link(orc::LLJIT &Jit, orc::JITDylib &Library, const std::vector<Member> &Members,
          const std::vector<std::string> &Names) {
  for (const Member &M : Members) {
    auto Buffer = MemoryBuffer::getMemBuffer(M.Bytes, M.Name, /*RequiresNullTerminator=*/false);
    if (Error Failure = Jit.addObjectFile(Library, std::move(Buffer))) {
      consumeError(std::move(Failure));
      return false;
    }
  }
  orc::SymbolLookupSet Wanted;
  for (const std::string &Name : Names)
    Wanted.add(Jit.getExecutionSession().intern(Name));
  auto Found = Jit.getExecutionSession().lookup({{&Library, orc::JITDylibLookupFlags::MatchAllSymbols}}, std::move(Wanted));
  if (!Found) {
    consumeError(Found.takeError());
    return false;
  }
  return true;
}

} // namespace

int main(int Count, char **Arguments) {
  if (Count != 3) {
    fprintf(stderr, "usage: orc_peer ARCHIVE REPETITIONS\n");
    return 2;
  }
  InitializeNativeTarget();
  InitializeNativeTargetAsmPrinter();
  auto File = cantFail(errorOrToExpected(MemoryBuffer::getFile(Arguments[1])));
  auto Archive = cantFail(object::Archive::create(File->getMemBufferRef()));
  const std::vector<Member> Members = membersOf(*Archive);
  const std::vector<std::string> Names = definedBy(Members);
  const size_t Repetitions = strtoul(Arguments[2], nullptr, 10);
  auto Jit = cantFail(orc::LLJITBuilder().create());
  // What fails is counted.
  Jit->getExecutionSession().setErrorReporter([](Error Failure) { consumeError(std::move(Failure)); });

  std::vector<double> Times;
  size_t Failed = 0;
  for (size_t Repetition = 0; Repetition < Repetitions; ++Repetition) {
    auto &Library = cantFail(Jit->createJITDylib("library" + std::to_string(Repetition)));
    const auto Start = Clock::now();
    const bool Linked = link(*Jit, Library, Members, Names);
    Times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - Start).count());
    if (!Linked)
      Failed += Members.size();
    cantFail(Jit->getExecutionSession().removeJITDylib(Library));
  }
  std::sort(Times.begin(), Times.end());
  const double Median = Times.empty() ? 0 : Times[Times.size() / 2];
  printf("{\"objects\":%zu,\"failed\":%zu,\"us_per_object\":%.4f}\n", Members.size() * Repetitions, Failed,
         Members.empty() ? 0 : Median / static_cast<double>(Members.size()));
  fflush(stdout);
  _Exit(0);
}

// LLJIT on codeslab's memory, with what LLVM adds to links: plugins, threads that compile, debuggers, unwinding. A line for each behaviour,
// `ok NAME` or `FAILED NAME`. The argument is linked.cpp, compiled with -fPIE -g.

#include "lljit.h"

#include <llvm/ExecutionEngine/Orc/Debugging/DebuggerSupport.h>
#include <llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h>
#include <llvm/ExecutionEngine/Orc/TargetProcess/JITLoaderGDB.h>
#include <llvm/Object/ObjectFile.h>
#include <llvm/Support/TargetSelect.h>

#include <atomic>
#include <execinfo.h>
#include <thread>

using namespace llvm;
using namespace llvm::jitlink;
using namespace llvm::orc;

extern "C" jit_descriptor __jit_debug_descriptor;

static const char *ObjectPath;

/// A plugin that does something with each graph.
class Plugin final : public ObjectLinkingLayer::Plugin {
public:
  using Pass = std::function<void(LinkGraph &, PassConfiguration &)>;
  explicit Plugin(Pass Added) : Added(std::move(Added)) {}

  void modifyPassConfig(MaterializationResponsibility &, LinkGraph &G, PassConfiguration &Config) override { Added(G, Config); }
  Error notifyFailed(MaterializationResponsibility &) override { return Error::success(); }
  Error notifyRemovingResources(JITDylib &, ResourceKey) override { return Error::success(); }
  void notifyTransferringResources(JITDylib &, ResourceKey, ResourceKey) override {}

private:
  Pass Added;
};

static void plug(LLJIT &JIT, Plugin::Pass Added) {
  static_cast<ObjectLinkingLayer &>(JIT.getObjLinkingLayer()).addPlugin(std::make_shared<Plugin>(std::move(Added)));
}

static Symbol *symbol(LinkGraph &G, StringRef Name) {
  for (Symbol *S : G.defined_symbols())
#if LLVM_VERSION_MAJOR >= 20
    if (S->hasName() && *S->getName() == Name)
#else
    if (S->hasName() && S->getName() == Name)
#endif
      return S;
  return nullptr;
}

static codeslab_found found(LLJIT &JIT, ExecutorAddr At) {
  auto &Control = JIT.getExecutionSession().getExecutorProcessControl();
  codeslab_found Found{};
  EXPECT(codeslab_find(static_cast<codeslab::JITLinkMemoryManager &>(Control.getMemMgr()).memory(), At.getValue(), &Found) == CODESLAB_OK);
  return Found;
}

static const char *Once = R"(
@n = internal global i32 40
@table = internal constant [2 x i32] [i32 5, i32 2], section ".rodata.once"
define i32 @once() nounwind section ".text.once" {
  %p = getelementptr i32, ptr @table, i64 1
  %a = load volatile i32, ptr %p
  %b = load i32, ptr @n
  %c = add i32 %a, %b
  store i32 %c, ptr @n
  ret i32 %c
}
define i32 @lasting() nounwind {
  %a = load volatile i32, ptr @n
  ret i32 %a
})";

static void codeThatOnlyInitializesGoesWhenItRan() {
  auto JIT = jit();
  ExecutorAddr Early, Table;
  plug(*JIT, [&](LinkGraph &G, PassConfiguration &Config) {
    if (!symbol(G, "once"))
      return;
    for (const char *Name : {".text.once", ".rodata.once"})
      if (Section *S = G.findSectionByName(Name))
        S->setMemLifetime(MemLifetime::Finalize);
    Config.PostAllocationPasses.push_back([&](LinkGraph &G) {
      Early = symbol(G, "once")->getAddress();
      Table = (*G.findSectionByName(".rodata.once")->blocks().begin())->getAddress();
      G.allocActions().push_back({callAction(Early), {}});
      return Error::success();
    });
  });
  Log.clear();
  auto Tracker = JIT->getMainJITDylib().createResourceTracker();
  uint64_t Before = stats(*JIT).used_bytes;
  cantFail(JIT->addIRModule(Tracker, module(Once)));
  auto Lasting = cantFail(JIT->lookup("lasting"));
  EXPECT(Lasting.toPtr<int (*)()>()() == 42 && Log == std::vector<std::string>{"called 42"});
  EXPECT(Early.getValue() && found(*JIT, Early).size == 0 && found(*JIT, Table).size == 0);
  EXPECT(found(*JIT, Lasting).size > 0 && Lasting - Early + (1ll << 31) < 1ull << 32);
  // What is there now is trap after trap: it is not only no longer counted.
  EXPECT(*Early.toPtr<unsigned char *>() == 0xcc);
  cantFail(Tracker->remove());
  EXPECT(stats(*JIT).used_bytes == Before);
}

static void whateverStageALinkFailsAtNothingIsKept() {
  auto JIT = jit();
  std::string Stage;
  auto Fail = [&Stage](const char *Name) {
    return [&Stage, Name](LinkGraph &) {
      return Stage == Name ? createStringError(inconvertibleErrorCode(), "as asked") : Error::success();
    };
  };
  plug(*JIT, [&](LinkGraph &G, PassConfiguration &Config) {
    if (!symbol(G, "f"))
      return;
    Config.PrePrunePasses.push_back(Fail("pre-prune"));
    Config.PostPrunePasses.push_back(Fail("post-prune"));
    Config.PostAllocationPasses.push_back(Fail("post-allocation"));
    Config.PreFixupPasses.push_back(Fail("pre-fixup"));
    Config.PostFixupPasses.push_back(Fail("post-fixup"));
    if (Stage == "action")
      G.allocActions().push_back({action("fail"), action("undone")});
  });
  JIT->getExecutionSession().setErrorReporter([](Error Reported) { consumeError(std::move(Reported)); });
  uint64_t Used = stats(*JIT).used_bytes, Live = stats(*JIT).live;
  int Number = 0;
  for (const char *Name : {"pre-prune", "post-prune", "post-allocation", "pre-fixup", "post-fixup", "action", "symbol", ""}) {
    Stage = Name;
    auto &JD = cantFail(JIT->createJITDylib("stage" + std::to_string(Number++)));
    cantFail(JIT->addIRModule(JD, module(counter("f", Stage == "symbol" ? "nowhere" : ""))));
    auto At = JIT->lookup(JD, "f");
    EXPECT(bool(At) == Stage.empty());
    if (!At)
      consumeError(At.takeError());
    else
      EXPECT(At->toPtr<int (*)()>()() == 42);
    EXPECT(stats(*JIT).in_flight == 0);
    cantFail(JIT->getExecutionSession().removeJITDylib(JD));
    EXPECT(stats(*JIT).used_bytes == Used && stats(*JIT).live == Live);
  }
}

static void fourThreadsCompile() {
  auto Dispatcher = std::make_unique<DynamicThreadPoolTaskDispatcher>(4);
  auto Control = cantFail(codeslab::createExecutorProcessControl({}, std::move(Dispatcher)));
  auto JIT = cantFail(LLJITBuilder().setExecutorProcessControl(std::move(Control)).create());
  const int Chains = 8, Length = 12;
  auto Name = [](int Chain, int Link) { return "c" + std::to_string(Chain) + "_" + std::to_string(Link); };
  std::vector<ResourceTrackerSP> Trackers;
  for (int Chain = 0; Chain < Chains; ++Chain)
    for (int Link = 0; Link < Length; ++Link) {
      Trackers.push_back(JIT->getMainJITDylib().createResourceTracker());
      cantFail(JIT->addIRModule(Trackers.back(), module(counter(Name(Chain, Link), Link ? Name(Chain, Link - 1) : ""))));
    }
  uint64_t Live = stats(*JIT).live;
#if LLVM_VERSION_MAJOR < 20
  // While several threads look symbols up, those of LLVM 19 get addresses of code that is not linked yet, with its own memory manager as
  // well. So all is looked up at once.
  SymbolLookupSet All;
  for (int Chain = 0; Chain < Chains; ++Chain)
    for (int Link = 0; Link < Length; ++Link)
      All.add(JIT->mangleAndIntern(Name(Chain, Link)));
  cantFail(JIT->getExecutionSession().lookup(makeJITDylibSearchOrder(&JIT->getMainJITDylib()), std::move(All)));
#endif
  std::atomic<int> Right{0};
  std::vector<std::thread> Threads;
  for (int Thread = 0; Thread < 4; ++Thread)
    Threads.emplace_back([&, Thread] {
      for (int Chain = Thread; Chain < Chains; Chain += 4)
        for (int Link : {Length - 1, Length / 2})
          Right += cantFail(JIT->lookup(Name(Chain, Link))).toPtr<int (*)()>()() == 42 * (Link + 1);
    });
  for (std::thread &Thread : Threads)
    Thread.join();
  EXPECT(Right == 2 * Chains && stats(*JIT).live > Live);
  // And four remove what they compiled.
  Threads.clear();
  for (size_t Thread = 0; Thread < 4; ++Thread)
    Threads.emplace_back([&, Thread] {
      for (size_t Index = Thread; Index < Trackers.size(); Index += 4)
        cantFail(Trackers[Index]->remove());
    });
  for (std::thread &Thread : Threads)
    Thread.join();
  EXPECT(stats(*JIT).live == Live && stats(*JIT).in_flight == 0);
}

static void debuggersLearnWhereCodeIs() {
  auto JIT = jit();
  cantFail(enableDebuggerSupport(*JIT));
  EXPECT(__jit_debug_descriptor.first_entry == nullptr);
  cantFail(JIT->addObjectFile(cantFail(errorOrToExpected(MemoryBuffer::getFile(ObjectPath)))));
  auto At = cantFail(JIT->lookup("catches"));
  jit_code_entry *Entry = __jit_debug_descriptor.first_entry;
  EXPECT(Entry != nullptr && Entry->next_entry == nullptr);
  if (!Entry)
    return;
  // The object that the debugger reads lies in this memory, too, and has the address of the code.
  EXPECT(found(*JIT, ExecutorAddr::fromPtr(Entry->symfile_addr)).size >= Entry->symfile_size);
  StringRef Bytes(Entry->symfile_addr, Entry->symfile_size);
  auto Object = cantFail(object::ObjectFile::createObjectFile(MemoryBufferRef(Bytes, "registered")));
  bool IsThere = false;
  for (const object::SectionRef &Section : Object->sections())
    IsThere |= Section.getAddress() <= At.getValue() && At.getValue() < Section.getAddress() + Section.getSize();
  EXPECT(IsThere);
}

static int FramesOfCode;
static bool EndsInMain;
static codeslab_found Code;

extern "C" int counted() {
  void *Frames[64];
  int Count = backtrace(Frames, 64);
  for (int Index = 0; Index < Count; ++Index) {
    auto At = reinterpret_cast<uint64_t>(Frames[Index]);
    FramesOfCode += Code.address <= At && At < Code.address + Code.size;
  }
  char **Names = backtrace_symbols(Frames, Count);
  for (int Index = 0; Index < Count; ++Index)
    EndsInMain |= std::string(Names[Index]).find("(main") != std::string::npos;
  std::free(Names);
  return 7;
}

static void codeIsUnwound() {
  auto JIT = jit();
  cantFail(JIT->addIRModule(module("declare i32 @counted()\n"
                                   "define i32 @inner() uwtable noinline { %a = call i32 @counted() %b = add i32 %a, 1 ret i32 %b }\n"
                                   "define i32 @outer() uwtable noinline { %a = call i32 @inner() %b = add i32 %a, 1 ret i32 %b }\n")));
  auto Outer = cantFail(JIT->lookup("outer"));
  Code = found(*JIT, Outer);
  EXPECT(Outer.toPtr<int (*)()>()() == 9);
  EXPECT(FramesOfCode == 2 && EndsInMain);
}

static void codeOfTheLargeModelGoesAnywhere() {
  codeslab::Options Chosen;
  Chosen.Memory.code_model = CODESLAB_CODE_MODEL_LARGE;
  auto Builder = cantFail(JITTargetMachineBuilder::detectHost());
  Builder.setCodeModel(CodeModel::Large);
  auto Control = cantFail(codeslab::createExecutorProcessControl(std::move(Chosen)));
  auto JIT = cantFail(
      LLJITBuilder().setExecutorProcessControl(std::move(Control)).setJITTargetMachineBuilder(std::move(Builder)).create());
  cantFail(JIT->addIRModule(module(counter("one", ""))));
  cantFail(JIT->addIRModule(module(counter("two", "one"))));
  EXPECT(cantFail(JIT->lookup("two")).toPtr<int (*)()>()() == 84);
}

int main(int Count, char **Arguments) {
  if (Count != 2)
    return 2;
  ObjectPath = Arguments[1];
  InitializeNativeTarget();
  InitializeNativeTargetAsmPrinter();
  run("code that only initializes goes when it ran", codeThatOnlyInitializesGoesWhenItRan);
  run("whatever stage a link fails at, nothing is kept", whateverStageALinkFailsAtNothingIsKept);
  run("four threads compile, look up and remove", fourThreadsCompile);
  run("debuggers learn where code is", debuggersLearnWhereCodeIs);
  run("code is unwound", codeIsUnwound);
  run("code of the large model goes anywhere", codeOfTheLargeModelGoesAnywhere);
  return finish();
}

(function(){
var d=document,r=d.documentElement,t=d.getElementById('theme');
function all(q,e){return [].slice.call((e||d).querySelectorAll(q))}
t.hidden=false;
t.onclick=function(){var k=r.dataset.theme||(matchMedia('(prefers-color-scheme:dark)').matches?'dark':'light');r.dataset.theme=k=='dark'?'light':'dark'};
addEventListener('beforeprint',function(){all('details').forEach(function(e){e.open=true})});
function n(v){return String(+v.toPrecision(3))}
function f(v,u){
if(u=='ms')return v<1?n(v*1e3)+' µs':v<1e3?n(v)+' ms':n(v/1e3)+' s';
if(u=='share'||u=='load')return n(v*100)+'%';
return n(v)+(u=='rate'?'/s':'')}
function axis(s){var p=s.split(' '),a=+p[1],b=+p[2],l=p[0]=='log',q=p[3],w=p[4]-q;
return function(x){var k=(x-q)/w;return f(l?a*Math.pow(b/a,k):a+k*(b-a),p[5])}}
all('figure').forEach(function(g){
var s=g.querySelector('svg'),o=g.querySelector('.read'),m=all('.keys button',g);
all('.keys',g).forEach(function(k){k.hidden=false});
m.forEach(function(b,i){b.onclick=function(){var on=b.getAttribute('aria-pressed')!='true';b.setAttribute('aria-pressed',on);
all('[data-s="'+i+'"]',s).forEach(function(e){e.classList.toggle('off',!on)})}});
if(!s||!o||!s.dataset.x)return;
var X=axis(s.dataset.x),Y=axis(s.dataset.y),c=d.createElementNS(s.namespaceURI,'path'),pts=[];
c.setAttribute('class','x l-muted');s.appendChild(c);
all('[data-l]',s).forEach(function(e){(e.getAttribute('d').match(/[-\d.]+,[-\d.]+/g)||[]).forEach(function(q){q=q.split(',');pts.push([+q[0],+q[1],e.parentNode])})});
s.onpointermove=function(e){
var p=new DOMPoint(e.clientX,e.clientY).matrixTransform(s.getScreenCTM().inverse()),b,best=900;
pts.forEach(function(q){var k=Math.pow(q[0]-p.x,2)+Math.pow(q[1]-p.y,2);if(k<best&&!q[2].classList.contains('off')){best=k;b=q}});
c.setAttribute('d',b?'M0,'+b[1]+'H460.8M'+b[0]+',0V288':'');
o.textContent=b?(m[b[2].dataset.s]||{}).textContent+': '+X(b[0])+', '+Y(b[1]):''};
s.onpointerleave=function(){c.setAttribute('d','');o.textContent=''}
})})();
